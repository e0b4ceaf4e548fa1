"""What encoders over whole sequences share: windows at inference, and the training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.data.targets import target_positions
from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.layers.item_tower import ItemTower, TowerInTraining
from tfrec.models.item_inputs import item_tensors
from tfrec.models.sequence_recommender import Batch, FactorisedRecommender
from tfrec.seeds import derive_seed

WINDOWS_AT_ONCE = 512
"""How many targets are encoded at a time at inference: each has a window of its own, and a batch may have thousands."""


class UnitTable:
    """View of an item table whose vectors have length 1 and whose items have no bias.

    Args:
        table: The table: an `ItemTable`, or what is called like one.
    """

    def __init__(self, table: Any) -> None:
        self.table = table

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, None]:
        """Looks up vectors: int `[...]` -> float `[..., dim]`."""
        return unit(self.table(ids)), None

    def whole(self) -> tuple[tf.Tensor, None]:
        """Returns all vectors, float `[vocab_size, dim]`."""
        return unit(self.table.whole()[0]), None


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Scales float `[..., dim]` to length 1, in float32 as squares overflow in float16; a zero vector stays zero."""
    wide = tf.cast(vectors, tf.float32)
    return tf.cast(tf.math.divide_no_nan(wide, tf.norm(wide, axis=-1, keepdims=True)), vectors.dtype)


class SequenceEncoder(FactorisedRecommender):
    """Recommender that reads a window of at most `config.max_length` events and is trained at all their positions.

    Subclasses make `self.items` (an `ItemTable`, or what is used like one) and define `encode_window`. One training
    step is one batch of sequences: every event but the first is a target of the state before it, and the objective
    decides which items it is compared with.
    """

    training_scheme = "sequences"
    config: Any
    items: Any
    reads_times = False
    """Whether `encode_window` is given the `times` of events: it then knows that of the event to be predicted, too."""

    def __init__(self, config: Any, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.event_counter = keras.metrics.Sum(name="events", dtype="float64")
        self.step_counter = keras.metrics.Sum(name="mini_batches", dtype="float64")
        self._objective: Callable[..., tf.Tensor] | None = None
        self._target_weights: Callable[..., tf.Tensor] | None = None
        self._similarities: list[keras.metrics.Mean] = []

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the state after every event of a window.

        Args:
            items: int32 `[batch, window]`, right-padded with 0, at most `config.max_length` wide.
            length: int32 `[batch]`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[batch, window, dim]`; state t depends on events 0..t only; 0 at padding.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `encode_window`.")

    # ---- inference ------------------------------------------------------------------------------------------------

    @property
    def history_window(self) -> int:
        return int(self.config.max_length)

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor]:
        vectors, bias = self.candidate_table().whole()
        zero = tf.zeros([self.vocab_size]) if bias is None else bias
        return tf.cast(vectors, tf.float32), zero

    def lookup_items(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        vectors, bias = self.candidate_table().lookup(ids)
        return tf.cast(vectors, tf.float32), tf.zeros(tf.shape(ids)) if bias is None else bias

    def candidate_table(self, dropout_seed: tf.Tensor | None = None) -> Any:
        """Returns the `CandidateTable` that states are compared with.

        Args:
            dropout_seed: int32 `[2]`, for subclasses whose candidates have drop-out; None means inference.
        """
        items = self.items
        if isinstance(items, ItemTower) and dropout_seed is not None:
            items = TowerInTraining(items, dropout_seed)
        return UnitTable(items) if self.config.similarity == "cosine" else items

    def comparable(self, states: tf.Tensor) -> tf.Tensor:
        """Returns states as `candidate_table` has items: of length 1 where scores are cosines."""
        return unit(states) if self.config.similarity == "cosine" else states

    def input_vectors(self, items: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the vectors of items as inputs: int `[...]` -> float `[..., dim]`."""
        return self.items(items, dropout_seed) if isinstance(self.items, ItemTower) else self.items(items)

    def refresh_items(self, dataset: InteractionDataset) -> None:
        """Takes over training counts, side features and ready-made vectors of the items, where the model uses any.

        Raises:
            ConfigError, DataError: The data set lacks some, or they have other shapes than the model was made for.
        """
        if isinstance(self.items, ItemTower):
            tensors = item_tensors(list(self.items.features), dataset)
            self.items.set_items(dataset.item_vocabulary.counts, tensors)

    def encode(self, batch: Batch) -> tf.Tensor:
        """Returns the state after every event of sequences of at most `config.max_length` events."""
        times = self._times(batch)
        if times is not None:  # beyond its last event a sequence goes on at the time of that
            last = tf.maximum(batch["length"] - 1, 0)[:, tf.newaxis]  # [batch, 1]
            times = tf.gather(times, tf.minimum(tf.range(tf.shape(batch["item"])[1] + 1), last), batch_dims=1)
        states = self._states(batch["item"], batch["length"], users=batch.get("user"), times=times)
        return tf.cast(states, tf.float32)

    def encode_targets(self, batch: Batch) -> tf.Tensor:
        """Returns the state before every target: each is the last state of a window of its own, as when serving.

        No more than `WINDOWS_AT_ONCE` windows are in memory at a time.
        """
        query_index, _ = target_positions(batch)  # [targets, 2]
        latest = tf.reduce_max(tf.concat([query_index[:, 1], [0]], axis=0))
        width = tf.minimum(latest + 1, self.config.max_length)
        pieces = tf.maximum((tf.shape(query_index)[0] + WINDOWS_AT_ONCE - 1) // WINDOWS_AT_ONCE, 1)

        def one_piece(piece: tf.Tensor, states: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            rows = query_index[piece * WINDOWS_AT_ONCE : (piece + 1) * WINDOWS_AT_ONCE]  # [piece, 2]
            return piece + 1, states.write(piece, self._encode_windows(batch, rows, width))

        states = tf.TensorArray(tf.float32, size=pieces, infer_shape=False, element_shape=[None, self.config.dim])
        _, states = tf.while_loop(
            lambda piece, _: piece < pieces, one_piece, (tf.constant(0), states), parallel_iterations=1
        )
        return states.concat()

    def _encode_windows(self, batch: Batch, query_index: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        """Returns the state at each (row, position) `[targets, 2]`, from at most `width` events: `[targets, dim]`."""
        last = query_index[:, 1]  # [targets]
        first = tf.maximum(last - width + 1, 0)  # [targets]
        column = first[:, tf.newaxis] + tf.range(width)  # [targets, window]
        items = tf.gather(batch["item"], query_index[:, 0])  # [targets, seq]
        window = tf.gather(items, tf.minimum(column, tf.shape(items)[1] - 1), batch_dims=1)  # [targets, window]
        window = tf.where(column <= last[:, tf.newaxis], window, 0)
        length = last - first + 1  # [targets]
        users = tf.gather(batch["user"], query_index[:, 0]) if "user" in batch else None  # [targets]
        times = self._times(batch)
        if times is not None:  # those of the window, and of the target
            column = tf.minimum(first[:, tf.newaxis] + tf.range(width + 1), last[:, tf.newaxis] + 1)
            times = tf.gather(tf.gather(times, query_index[:, 0]), column, batch_dims=1)  # [targets, window + 1]
        states = self._states(window, length, users=users, times=times)  # [targets, window, dim]
        return tf.cast(tf.gather(states, length - 1, batch_dims=1), tf.float32)

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.score_targets(batch)

    def _states(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
        users: tf.Tensor | None = None,
        times: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the states of windows, as they are compared with items.

        For subclasses that know their users there is `users` int32 `[batch]`; for those that read times, `times` int64
        `[batch, window + 1]` of the events and of the one after them (after padding, any).
        """
        also = {"times": times} if self.reads_times else {}
        return self.comparable(self.encode_window(items, length, dropout_seed=dropout_seed, **also))

    def _times(self, batch: Batch) -> tf.Tensor | None:
        """Returns the times of a batch int64 `[batch, length]` for those who read them; 0 where it has none."""
        if not self.reads_times:
            return None
        return batch["timestamp"] if "timestamp" in batch else tf.zeros(tf.shape(batch["item"]), tf.int64)

    # ---- training -------------------------------------------------------------------------------------------------

    def prepare_training(
        self,
        objective: Callable[..., tf.Tensor],
        target_weights: Callable[..., tf.Tensor] | None = None,
        *,
        similarities: bool = False,
    ) -> None:
        """Sets what is minimised; must precede `fit`.

        Args:
            objective: A `SequenceObjective` or what is called like one.
            target_weights: A `TargetWeights` or what is called like one. Default: all targets count alike.
            similarities: Measure the cosines of states with their targets and with other targets of the step.
        """
        self._objective = objective
        self._target_weights = target_weights
        names = ("positive_similarity", "negative_similarity", "similarity_gap") if similarities else ()
        self._similarities = [keras.metrics.Mean(name=name) for name in names]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, self.event_counter, self.step_counter, *self._similarities]

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step on a batch of sequences.

        Args:
            batch: `item` int32 `[batch, seq]` right-padded, with at most `config.max_length + 1` events, and `length`
                `[batch]`; optionally `inputs` `[batch, seq]`, what the model sees in place of `item`.
        """
        objective = self._objective
        if objective is None:
            raise RuntimeError("`prepare_training` must be called before `fit`.")
        length = tf.cast(batch["length"], tf.int32)
        everything = {"item": batch["item"], "length": length, "num_targets": length - 1}
        query_index, targets = target_positions(everything)  # [targets, 2], [targets]
        known = targets >= RESERVED_ROWS
        query_index, targets = tf.boolean_mask(query_index, known), tf.boolean_mask(targets, known)
        inputs = batch.get("inputs", batch["item"])[:, :-1]  # [batch, seq - 1]
        with tf.GradientTape() as tape:
            states = self._states(
                inputs,
                tf.maximum(length - 1, 0),
                dropout_seed=self._step_seed("dropout"),
                users=batch.get("user"),
                times=self._times(batch),
            )  # [batch, seq - 1, dim]
            states = tf.gather_nd(states, query_index)  # [targets, dim]
            losses = objective(
                states,
                targets,
                self.candidate_table(self._step_seed("candidates")),
                history=batch["item"],
                sequence_of_target=query_index[:, 0],
                seed=self._step_seed("negatives"),
            )  # [targets]
            events = total = tf.cast(tf.size(targets), tf.float32)
            if self._target_weights is not None:
                weights = self._target_weights(batch, query_index)  # [targets]
                losses, total = losses * weights, tf.reduce_sum(weights)
            # Gradients are summed over replicas: each divides by the targets of all.
            everywhere = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, total)
            cost = self.optimizer.scale_loss(tf.math.divide_no_nan(tf.reduce_sum(losses), everywhere))
        gradients = tape.gradient(cost, [variable.value for variable in self.trainable_variables])
        # Counters must wait for the batch: else they would also run when the data end, which raises in this graph.
        with tf.control_dependencies([cost]):
            self._measure_similarities(states, targets)  # of the weights before the step
            self.optimizer.apply(gradients, self.trainable_variables)
            mean = tf.math.divide_no_nan(tf.reduce_sum(losses), total)
            self.loss_tracker.update_state(mean, sample_weight=total)
            self.event_counter.update_state(events)
            self.step_counter.update_state(1.0 / tf.distribute.get_strategy().num_replicas_in_sync)
        return self.get_metrics_result()

    def _measure_similarities(self, states: tf.Tensor, targets: tf.Tensor) -> None:
        """Compares states `[targets, dim]` with their own targets, and with those half a step away: of other sequences.

        The target before is what the state has just read, to which it may well be similar.
        """
        if not self._similarities:
            return
        own = unit(tf.cast(self.candidate_table().lookup(targets)[0], tf.float32))  # [targets, dim]
        states = unit(tf.cast(states, tf.float32))
        positive = tf.reduce_sum(states * own, axis=1)  # [targets]
        away = tf.maximum(tf.size(targets) // 2, 1)
        negative = tf.reduce_sum(states * tf.roll(own, away, axis=0), axis=1)
        other = tf.cast(targets != tf.roll(targets, away, axis=0), tf.float32)
        for metric, values in zip(self._similarities, (positive, negative, positive - negative), strict=True):
            metric.update_state(values, sample_weight=other)

    def _step_seed(self, purpose: str) -> tf.Tensor:
        """Returns the seed of one purpose in this step, int32 `[2]`; replicas draw differently."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        return tf.stack([derive_seed(self.seed, purpose) + replica, step])
