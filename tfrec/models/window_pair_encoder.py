"""What encoders of a long and a short window of events share: vectors at inference, and the training step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.pair_objective_config import PairObjectiveConfig
from tfrec.data.targets import target_positions
from tfrec.data.user_windows import PairBatch, WindowOptions, keep_rows, window
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.losses.user_pairs import bpr_in_batch, softmax_in_batch
from tfrec.models.sequence_recommender import LONGEST_HISTORY, Batch, FactorisedRecommender
from tfrec.seeds import derive_seed

_AT_ONCE = 256
"""Long windows that are encoded at a time at inference."""
_ITEMS_AT_ONCE = 4096

SIDES = ("long", "short")
Window = Mapping[str, tf.Tensor]


class WindowPairEncoder(FactorisedRecommender):
    """Recommender with one encoder for a long window of a user's events and one for a short window.

    It is trained to bring both vectors of a user together. The vector of a user is that of the long window. The vector
    of an item is that of a short window of one event: the item, at the end of the training period, with the most
    frequent value of every event feature; so the next items are the nearest ones.

    Subclasses define `encode_window`, `windows` and `period`; `windows.features` are the event features they read.
    """

    training_scheme = "user_pairs"
    config: Any
    period: tuple[int, int]
    """Times of the first and the last training event, milliseconds since 1970."""
    categories: dict[str, Any]
    """Weights int32 `[vocab_size]` by the name of an item's category."""

    def __init__(self, config: Any, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.event_counter = keras.metrics.Sum(name="events", dtype="float64")
        self.step_counter = keras.metrics.Sum(name="mini_batches", dtype="float64")
        self._objective: PairObjectiveConfig | None = None
        self._kept_items: tf.Tensor | None = None

    @property
    def windows(self) -> WindowOptions:
        """How the events of a user are cut."""
        raise TypeError(f"`{type(self).__name__}` does not define `windows`.")

    def encode_window(
        self, side: str, events: Window, *, training: bool = False, dropout_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes windows.

        Args:
            side: `long` or `short`.
            events: A window of events, see `tfrec.data.user_windows.PairBatch`.
            training: Whether this is a training step.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            Unit vectors float `[batch, dim]`, and what the model adds to the loss of a step, a scalar.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `encode_window`.")

    def event_vectors(self, events: Window) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the vectors of events float `[batch, window, width]`, 0 at padding, and what is real, bool."""
        raise TypeError(f"`{type(self).__name__}` does not define `event_vectors`.")

    # ---- inference ------------------------------------------------------------------------------------------------

    @property
    def vector_dim(self) -> int:
        """Width of the vectors of users and items."""
        return int(self.config.dim)

    @property
    def history_window(self) -> int:
        return LONGEST_HISTORY if self.config.export_window == "first" else self.windows.long_length

    @property
    def request_features(self) -> tuple[str, ...]:
        return ("timestamp", *self.windows.features)

    def encode_pairs(self, pair: Mapping[str, Any]) -> tf.Tensor:
        """Returns the vectors of both windows of a `PairBatch`, float `[batch, 2, dim]`."""
        return tf.stack([self.encode_window(side, pair[side])[0] for side in SIDES], axis=1)

    @functools.cached_property
    def pair_graph(self) -> Any:
        """`encode_pairs` as a graph."""
        return _as_graph(self.encode_pairs)

    @functools.cached_property
    def pooled_graph(self) -> Any:
        """The mean of the event vectors of windows as a graph: a window -> float `[batch, width]`."""

        def pooled(events: Window) -> tf.Tensor:
            vectors, real = self.event_vectors(events)
            mask = tf.cast(real, vectors.dtype)[:, :, tf.newaxis]  # [batch, window, 1]
            return tf.reduce_sum(vectors * mask, axis=1) / tf.maximum(tf.reduce_sum(mask, axis=1), 1.0)

        return _as_graph(pooled)

    def encode_targets(self, batch: Batch) -> tf.Tensor:
        """Returns the vector of the long window before every target, float `[targets, dim]`."""
        query, _ = target_positions(batch)  # [targets, 2]
        columns = {name: batch[name] for name in ("item", "timestamp", *self.windows.features) if name in batch}
        width = tf.constant(self.windows.long_length)
        if self.config.use_mask:  # else padding counts, and its amount must not depend on who else is in the batch
            width = tf.minimum(tf.reduce_max(tf.concat([query[:, 1], [0]], axis=0)) + 1, width)

        def encode(rows: tf.Tensor) -> tf.Tensor:
            row, end = query[rows[0] : rows[1], 0], query[rows[0] : rows[1], 1] + 1
            first = tf.maximum(end - width, 0)
            if self.config.export_window == "first":
                first, end = tf.zeros_like(end), tf.minimum(end, width)
            own = {name: tf.gather(values, row) for name, values in columns.items()}
            return self.encode_window("long", window(own, first, end, width))[0]

        return self._in_pieces(tf.shape(query)[0], encode, _AT_ONCE)

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns item vectors float `[vocab_size, dim]` and biases of 0; encodes every item, some at a time."""
        return self._whole_table(), tf.zeros([self.vocab_size])

    @functools.cached_property
    def _whole_table(self) -> Any:
        def encode(rows: tf.Tensor) -> tf.Tensor:
            return self.lookup_items(tf.range(rows[0], rows[1]))[0]

        whole = tf.function(
            lambda: self._in_pieces(tf.constant(self.vocab_size), encode, _ITEMS_AT_ONCE), autograph=False
        )
        return whole.get_concrete_function()

    def keep_items(self, vectors: tf.Tensor, bias: tf.Tensor) -> None:
        del bias
        self._kept_items = tf.convert_to_tensor(vectors)

    def score_targets(self, batch: Batch) -> tf.Tensor:
        vectors = self.item_table()[0] if self._kept_items is None else self._kept_items
        return tf.matmul(self.encode_targets(batch), vectors, transpose_b=True)  # [targets, vocab]

    def lookup_items(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        flat = tf.reshape(ids, [-1, 1])  # [items, 1]
        events = {
            "item": flat,
            "timestamp": tf.fill(tf.shape(flat), tf.constant(self.period[1], tf.int64)),
            "length": tf.ones_like(flat[:, 0]),
            **{name: tf.fill(tf.shape(flat), FIRST_INDEX) for name in self.windows.features},
        }
        if not self.config.use_mask:  # padded as in training
            padding = [[0, 0], [0, self.windows.short_length - 1]]
            events = {name: value if name == "length" else tf.pad(value, padding) for name, value in events.items()}
        vectors, _ = self.encode_window("short", events)  # [items, dim]
        shape = tf.concat([tf.shape(ids), [self.vector_dim]], axis=0)
        return tf.reshape(vectors, shape), tf.zeros(tf.shape(ids))

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.score_targets(batch)

    def _in_pieces(self, number: tf.Tensor, encode: Any, most: int) -> tf.Tensor:
        """Joins `encode([first, end])` of at most `most` rows at a time: float `[number, dim]`."""
        pieces = tf.maximum((number + most - 1) // most, 1)

        def one(piece: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            rows = tf.stack([piece * most, tf.minimum((piece + 1) * most, number)])
            return piece + 1, found.write(piece, encode(rows))

        found = tf.TensorArray(tf.float32, size=pieces, infer_shape=False, element_shape=[None, self.vector_dim])
        _, found = tf.while_loop(lambda piece, _: piece < pieces, one, (tf.constant(0), found), parallel_iterations=1)
        return found.concat()

    # ---- training -------------------------------------------------------------------------------------------------

    def prepare_training(self, objective: PairObjectiveConfig) -> None:
        """Sets what is minimised; must precede `fit`."""
        self._objective = objective
        self._kept_items = None

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, self.event_counter, self.step_counter]

    def train_step(self, pair: PairBatch) -> dict[str, tf.Tensor]:
        """Takes one step on a `PairBatch`; users without a short window are left out of the loss."""
        objective = self._objective
        if objective is None:
            raise RuntimeError("`prepare_training` must be called before `fit`.")
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        pair = keep_rows(pair, pair["short"]["length"] > 0)
        with tf.GradientTape() as tape:
            losses, balance = self.pair_losses(objective, pair, step)
            users = tf.cast(tf.size(losses), tf.float32)
            mean = tf.reduce_sum(losses) / tf.maximum(users, 1.0)
            cost = mean + objective.balance_weight * balance
        gradients = tape.gradient(cost, [variable.value for variable in self.trainable_variables])
        # Counters must wait for the batch: else they would also run when the data end, which raises in this graph.
        with tf.control_dependencies([cost]):
            self.optimizer.apply(gradients, self.trainable_variables)
            self.loss_tracker.update_state(mean, sample_weight=users)
            self.event_counter.update_state(users)
            self.step_counter.update_state(1.0)
        return self.get_metrics_result()

    def pair_losses(
        self, objective: PairObjectiveConfig, pair: Mapping[str, Any], step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Losses of a training step.

        Args:
            objective: What is minimised.
            pair: A `PairBatch` whose short windows are not empty.
            step: Number of the step, int32 scalar: seeds drop-out and negatives.

        Returns:
            float `[batch]`, and the loss of the balance, a scalar.
        """
        vectors, balance = [], tf.constant(0.0)
        for side in SIDES:
            seed = tf.stack([derive_seed(self.seed, f"{side} dropout"), step])
            found, own = self.encode_window(side, pair[side], training=True, dropout_seed=seed)
            vectors.append(found)
            balance += own
        long, short = vectors
        if objective.loss == "softmax":
            return softmax_in_batch(long, short, pair["owner"], temperature=objective.temperature), balance
        most = tf.maximum(tf.shape(pair["owner"])[0], 2)
        draw = tf.random.stateless_uniform(
            [], tf.stack([derive_seed(self.seed, "negatives"), step]), 1, most, dtype=tf.int32
        )
        return bpr_in_batch(long, short, pair["owner"], shift=draw, temperature=objective.temperature), balance


def _as_graph(function: Callable[[Any], tf.Tensor]) -> Callable[[Any], tf.Tensor]:
    """Returns a function of nested tensors as one graph for any number of rows and events, traced at the first call."""
    graphs: list[Any] = []

    def call(tensors: Any) -> tf.Tensor:
        if not graphs:
            specs = tf.nest.map_structure(lambda value: tf.TensorSpec([None] * len(value.shape), value.dtype), tensors)
            graphs.append(tf.function(function, autograph=False).get_concrete_function(specs))
        return graphs[0](tensors)

    return call
