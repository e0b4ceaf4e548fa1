"""A recommender small enough to be computed by hand: its SavedModel, and the same in numpy.

The vector of a history is the sum of the vectors of its known items; scores are products plus a bias. A history in
which nothing is known gets the popularity. A session's state is half the state before plus the new item's vector.
Item rows 0 and 1 are padding and out of vocabulary, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

DIM = 4
DEFAULT_K = 5
LOWEST = float(np.finfo(np.float32).min)
INT_IDS = [2**31 + 7, 5, -3, 2**62 + 11, 900719925474099312, 42, 7, 1]
TEXT_IDS = ["sku-1", "Ünïcode ☃", "b64", 'quo"te\\', "0042", "shoe/9", "a b", "z"]


class TinyModel:
    """The oracle. Args: raw ids in index order, and a number that changes all vectors."""

    def __init__(self, ids: Sequence[Any], seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.ids = list(ids)
        self.vectors = random.normal(size=(len(ids) + 2, DIM)).astype(np.float32)
        self.vectors[:2] = 0
        self.bias = random.normal(size=len(ids) + 2).astype(np.float32)
        self.popularity = np.concatenate([[0, 0], np.linspace(1, 0.1, len(ids))]).astype(np.float32)

    def index(self, raw: Any) -> int:
        return self.ids.index(raw) + 2 if raw in self.ids else 1

    def encode(self, history: Sequence[Any]) -> np.ndarray:
        return self.vectors[[self.index(raw) for raw in history]].sum(axis=0, dtype=np.float64)

    def scores(self, history: Sequence[Any]) -> np.ndarray:
        if not any(raw in self.ids for raw in history):
            return self.popularity.astype(np.float64)
        return self.encode(history) @ self.vectors.T.astype(np.float64) + self.bias

    def top(
        self,
        history: Sequence[Any],
        k: int,
        exclude: Sequence[Any] = (),
        allow: Sequence[Any] | None = None,
        exclude_history: bool = True,
    ) -> list[tuple[Any, float]]:
        scores = self.scores(history)
        out = [*exclude, *(history if exclude_history else ())]
        left = [
            row
            for row in range(2, len(scores))
            if self.ids[row - 2] not in out and (allow is None or self.ids[row - 2] in allow)
        ]
        left.sort(key=lambda row: (-scores[row], row))
        return [(self.ids[row - 2], float(scores[row])) for row in left[:k]]

    def save(self, path: Path, *, without: Sequence[str] = ()) -> None:
        """Writes the SavedModel whole or not at all, with all signatures but some."""
        module = _Module(self)
        kept = {name: function for name, function in module.signatures().items() if name not in without}
        partial = path.parent / f".{path.name}.partial"
        tf.saved_model.save(module, str(partial), signatures=kept)
        partial.rename(path)


class _Module(tf.Module):
    def __init__(self, model: TinyModel) -> None:
        super().__init__()
        text = isinstance(model.ids[0], str)
        self.id_dtype = tf.string if text else tf.int64
        keys = tf.constant(model.ids, self.id_dtype)
        rows = tf.range(2, len(model.ids) + 2, dtype=tf.int64)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), 1)
        self.raw = tf.Variable(["", "", *model.ids] if text else np.array([0, 0, *model.ids], np.int64))
        self.vectors = tf.Variable(model.vectors)
        self.bias = tf.Variable(model.bias)
        self.popularity = tf.Variable(model.popularity)

    def signatures(self) -> dict[str, Any]:
        ids = self.id_dtype
        history = {"history": tf.TensorSpec([None, None], ids), "history_length": tf.TensorSpec([None], tf.int32)}
        wishes = {
            "k": tf.TensorSpec([], tf.int32),
            "exclude_ids": tf.TensorSpec([None, None], ids),
            "allow_ids": tf.TensorSpec([None, None], ids),
            "exclude_history": tf.TensorSpec([], tf.bool),
        }
        row, rows = tf.TensorSpec([None], ids), tf.TensorSpec([None, None], ids)
        state = {"state_0": tf.TensorSpec([None, DIM], tf.float32)}
        examples = {"examples": tf.TensorSpec([None], tf.string)}
        specs = {
            "serving_default": (self.default, history),
            "recommend": (self.recommend, {**history, **wishes}),
            "encode_user": (self.encode_user, history),
            "encode_item": (self.encode_item, {"ids": row}),
            "score": (self.score, {**history, "ids": rows}),
            "session_step": (self.session_step, {"ids": row, **state}),
            "examples": (self.examples, examples),
        }
        return {name: tf.function(call).get_concrete_function(**spec) for name, (call, spec) in specs.items()}

    def default(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, scores = self._scored(**inputs)
        return self._ranked(scores, self._member(rows), DEFAULT_K)

    def recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, scores = self._scored(inputs["history"], inputs["history_length"])
        out = self._member(self.table.lookup(inputs["exclude_ids"]))
        out |= self._member(rows) & inputs["exclude_history"]
        allowed = self._member(self.table.lookup(inputs["allow_ids"])) | (tf.shape(inputs["allow_ids"])[1] == 0)
        return self._ranked(scores, out | ~allowed, inputs["k"])

    def encode_user(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"vector": self._encoded(**inputs)[1]}

    def encode_item(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = self.table.lookup(ids)
        return {"vector": tf.gather(self.vectors, rows), "bias": tf.gather(self.bias, rows)}

    def score(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        _, scores = self._scored(inputs["history"], inputs["history_length"])
        asked = self.table.lookup(inputs["ids"])
        return {"scores": tf.where(asked > 1, tf.gather(scores, asked, batch_dims=1), LOWEST)}

    def session_step(self, ids: tf.Tensor, state_0: tf.Tensor) -> dict[str, tf.Tensor]:
        state = state_0 / 2 + tf.gather(self.vectors, self.table.lookup(ids))
        scores = tf.matmul(state, self.vectors, transpose_b=True) + self.bias
        return {"state_0": state, **self._ranked(scores, tf.zeros_like(scores, tf.bool), DEFAULT_K)}

    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.io.parse_example(examples, {"item": tf.io.RaggedFeature(tf.int64)})["item"].to_tensor()
        scores = tf.matmul(tf.reduce_sum(tf.gather(self.vectors, rows), 1), self.vectors, transpose_b=True) + self.bias
        return self._ranked(scores, self._member(rows), DEFAULT_K)

    def _encoded(self, history: tf.Tensor, history_length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = self.table.lookup(history)
        rows *= tf.cast(tf.sequence_mask(history_length, tf.shape(history)[1]), tf.int64)
        return rows, tf.reduce_sum(tf.gather(self.vectors, rows), axis=1)

    def _scored(self, history: tf.Tensor, history_length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows, state = self._encoded(history, history_length)
        scores = tf.matmul(state, self.vectors, transpose_b=True) + self.bias
        return rows, tf.where(tf.reduce_any(rows > 1, axis=1, keepdims=True), scores, self.popularity)

    def _member(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(tf.one_hot(rows, tf.shape(self.bias)[0], True, False, dtype=tf.bool), axis=1)

    def _ranked(self, scores: tf.Tensor, out: tf.Tensor, k: Any) -> dict[str, tf.Tensor]:
        scores = tf.where(out | (tf.range(tf.shape(self.bias)[0]) < 2), LOWEST, scores)
        top = tf.math.top_k(scores, tf.minimum(k, tf.shape(self.bias)[0] - 2))
        real = top.values > LOWEST
        items = tf.gather(self.raw, tf.where(real, top.indices, 0))
        return {"items": items, "scores": top.values, "count": tf.reduce_sum(tf.cast(real, tf.int32), axis=1)}
