"""The targets of raw examples, ranked among all items inside a SavedModel: offline evaluation without a data set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.targets import target_positions
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.evaluation.slices import popularity_buckets
from tfrec.evaluation.target_counts import TargetCounts, count_from_factors, count_from_scores, first_occurrences
from tfrec.models.sequence_recommender import FactorisedRecommender, SequenceRecommender
from tfrec.serving.id_table import IdTable
from tfrec.serving.signature import Signature, Tensors
from tfrec.serving.untracked import Untracked

SIGNATURES = {False: "rank_targets", True: "rank_unseen_targets"}
"""Names by whether items of the history are no candidates: models must be compared by one rule."""
METRICS = ("recall", "ndcg", "mrr")
_CHUNK_BYTES = 1 << 24
_MAX_CHUNK_ROWS = 256


def metric_outputs(cutoffs: list[int]) -> list[str]:
    """Returns the names of the outputs that are metrics: `recall@5`, `ndcg@5`, `mrr@5`, `recall@10` ..."""
    return [f"{metric}@{cutoff}" for cutoff in cutoffs for metric in METRICS]


class TargetRanking(tf.Module):
    """Ranks what examples with raw ids say is to be predicted, as `tfrec.evaluation.ranking` does with a data set.

    The catalogue and the rules are the same, and so are the ranks; only that scores of batches of another shape may
    differ in their last bit. A score that cannot be ranked is an error.

    Args:
        model: The model; its item vectors are made in the graph.
        items: The item vocabulary.
        users: The user vocabulary, if the model is told the user.
        counts: Training events of every item index, int64 `[vocab]`.
        query: From a batch to what the model says of its targets: states `[targets, dim]` of a factorised model, else
            scores `[targets, vocab]`.
        settings: Cut-offs and tie rule of the metrics.
        event_values: Vocabularies of the features of events that the model is told.
    """

    def __init__(
        self,
        model: SequenceRecommender,
        items: IdTable,
        users: IdTable | None,
        counts: NDArray[np.int64],
        query: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
        settings: EvaluationConfig,
        event_values: Mapping[str, IdTable] | None = None,
    ) -> None:
        super().__init__(name="target_ranking")
        self.items = items
        self.users = users
        self.event_values = dict(event_values or {})
        bucket = popularity_buckets(counts)  # [vocab]
        self._bucket = tf.Variable(np.where(bucket < 0, 2, bucket), dtype=tf.int64, trainable=False, name="bucket")
        self._query = Untracked(query)
        self._model = Untracked(model)
        self._factorised = isinstance(model, FactorisedRecommender)
        self._with_timestamps = "timestamp" in model.request_features
        self._settings = settings.model_copy()
        self._chunk = int(np.clip(_CHUNK_BYTES // (4 * len(counts)), 1, _MAX_CHUNK_ROWS))

    def signatures(self) -> dict[str, Signature]:
        """Returns functions and their inputs by the names of `SIGNATURES`."""
        inputs = {"examples": tf.TensorSpec([None], tf.string)}
        return {name: (functools.partial(self, exclude_history=rule), inputs) for rule, name in SIGNATURES.items()}

    def __call__(self, examples: tf.Tensor, *, exclude_history: bool) -> Tensors:
        """Ranks the targets of examples.

        Args:
            examples: Serialized tf.Examples, string `[batch]`, with raw ids: `item`, the events of a sequence, oldest
                first; `num_targets`, how many of the last ones are targets; and where the model asks for them,
                `timestamp`, `user` and raw features of events.
            exclude_history: Items seen earlier in the sequence are no candidates.

        Returns:
            Per target, `[batch, most targets of an example]`, the earliest first: `rank` float32, from 1, infinite
            where the target is unknown, 0 where an example has fewer targets; `recall@k`, `ndcg@k`, `mrr@k` float32;
            `greater` and `greater_equal` int32, items with a higher score and with at least the target's, itself
            included, from which ranks by any tie rule follow; `popularity` int64, 0 head, 1 torso, 2 tail of the
            training events (unknown items are of the tail); `history` int64, events before the target.
        """
        batch = self._batch(examples)
        query, target = target_positions(batch)  # [targets, 2], [targets]
        counts = self._counts(batch, query, target, exclude_history)
        rank, known = self._ranks(counts, target)
        first = tf.maximum(batch["length"] - batch["num_targets"], 1)  # [batch]
        place = tf.stack([query[:, 0], query[:, 1] + 1 - tf.gather(first, query[:, 0])], axis=1)  # [targets, 2]
        shape = tf.stack([tf.shape(examples)[0], tf.reduce_max(tf.concat([[0], place[:, 1] + 1], axis=0))])

        def spread(values: tf.Tensor) -> tf.Tensor:
            return tf.scatter_nd(place, values, shape)  # [batch, most]

        found = {"rank": spread(rank), "greater": spread(counts[:, 0]), "greater_equal": spread(counts[:, 1])}
        for cutoff in self._settings.cutoffs:
            gains = {"recall": tf.ones_like(rank), "ndcg": np.log(2.0) / tf.math.log1p(rank), "mrr": 1.0 / rank}
            within = known & (rank <= cutoff)
            found |= {f"{name}@{cutoff}": spread(tf.where(within, gains[name], 0.0)) for name in METRICS}
        found["popularity"] = spread(tf.gather(self._bucket, target))
        found["history"] = spread(tf.cast(query[:, 1] + 1, tf.int64))
        return found

    def _batch(self, examples: tf.Tensor) -> Tensors:
        """Parses as `sequence_dataset` does, with raw ids."""
        spec: dict[str, Any] = {
            "item": tf.io.RaggedFeature(self.items.dtype),
            "num_targets": tf.io.FixedLenFeature([], tf.int64),
        }
        if self._with_timestamps:
            spec["timestamp"] = tf.io.RaggedFeature(tf.int64)
        spec |= {name: tf.io.RaggedFeature(table.dtype) for name, table in self.event_values.items()}
        if self.users is not None:
            spec["user"] = tf.io.FixedLenFeature([], self.users.dtype)
        parsed = tf.io.parse_example(examples, spec)
        length = tf.cast(parsed["item"].row_lengths(), tf.int32)  # [batch]
        items = _looked_up(self.items, parsed["item"])  # [batch, seq]
        times = parsed["timestamp"].to_tensor() if self._with_timestamps else tf.zeros(tf.shape(items), tf.int64)
        number = tf.clip_by_value(tf.cast(parsed["num_targets"], tf.int32), 0, tf.maximum(length - 1, 0))
        batch = {"item": items, "timestamp": times, "length": length, "num_targets": number}
        batch |= {name: _looked_up(table, parsed[name]) for name, table in self.event_values.items()}
        if self.users is not None:
            batch["user"] = tf.cast(self.users.lookup(parsed["user"]), tf.int32)
        return batch

    def _counts(self, batch: Tensors, query: tf.Tensor, target: tf.Tensor, exclude_history: bool) -> tf.Tensor:
        """Returns better candidates and at least equal ones, int32 `[targets, 2]`."""
        seen = _seen(batch, query, target) if exclude_history else tf.zeros([tf.shape(target)[0], 0], tf.int32)
        if not self._factorised:
            return self._counts_by_row(batch, query, target, seen)
        vectors, bias = self._model.value.item_table()
        states = self._query.value(batch)  # [targets, dim]

        def count(start: tf.Tensor) -> tf.Tensor:
            rows = slice(start, start + self._chunk)
            found = count_from_factors(states[rows], vectors, bias, target[rows], seen[rows])
            return _checked(found)

        return _in_pieces(count, tf.range(0, tf.shape(target)[0], self._chunk))

    def _counts_by_row(self, batch: Tensors, query: tf.Tensor, target: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """One example at a time: the scores of all items for all targets of a batch would not fit into memory."""

        def count(row: tf.Tensor) -> tf.Tensor:
            own = tf.where(query[:, 0] == row)[:, 0]  # [own targets]
            scores = self._query.value({name: values[row : row + 1] for name, values in batch.items()})
            return _checked(count_from_scores(scores, tf.gather(target, own), tf.gather(seen, own)))

        return _in_pieces(count, tf.range(tf.shape(batch["item"])[0]))

    def _ranks(self, counts: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ranks float32 `[targets]`, and which targets are candidates."""
        greater, greater_equal = (tf.cast(counts[:, place], tf.float32) for place in (0, 1))
        ranks = {
            "standard": greater + 1.0,
            "conservative": greater_equal,
            "median": (greater + greater_equal + 1.0) / 2.0,
        }[self._settings.tie_rule]
        known = target >= FIRST_INDEX
        return tf.where(known, ranks, float("inf")), known


def _looked_up(table: IdTable, raw: tf.RaggedTensor) -> tf.Tensor:
    """Returns indices of raw values, int32 `[batch, seq]`, padded with 0."""
    return tf.cast(tf.ragged.map_flat_values(table.lookup, raw).to_tensor(), tf.int32)


def _seen(batch: Tensors, query: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the items that are no candidates, int32 `[targets, seq]`."""
    history = tf.gather(first_occurrences(batch["item"]), query[:, 0])  # [targets, seq]
    known = tf.range(tf.shape(history)[1]) <= query[:, 1:]  # [targets, seq]
    return tf.where(known & (history != target[:, tf.newaxis]), history, 0)


def _checked(found: TargetCounts) -> tf.Tensor:
    fine = tf.debugging.assert_equal(found.num_unfit, 0, "A score is not a number or plus infinity.")
    with tf.control_dependencies([] if fine is None else [fine]):
        return tf.stack([found.greater, found.greater_equal], axis=1)  # [rows, 2]


def _in_pieces(count: Callable[[tf.Tensor], tf.Tensor], starts: tf.Tensor) -> tf.Tensor:
    """Concatenates what `count` says of each piece, int32 `[any, 2]`."""
    pieces = tf.map_fn(
        count,
        starts,
        fn_output_signature=tf.RaggedTensorSpec([None, 2], tf.int32, ragged_rank=0),
        parallel_iterations=1,
    )
    return tf.reshape(pieces.flat_values, [-1, 2])
