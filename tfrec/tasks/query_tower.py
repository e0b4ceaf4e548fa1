"""Training of any sequence encoder as the query tower of a retrieval task."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.data.targets import target_positions
from tfrec.errors import ConfigError
from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.losses.sequence_objective import CandidateTable
from tfrec.models.sequence_recommender import Batch, FactorisedRecommender
from tfrec.seeds import derive_seed
from tfrec.tasks.retrieval_objective import RetrievalObjective


class QueryTower(keras.Model):
    """Trains an encoder by TFRS: its states are the queries, the vectors of the target items the candidates.

    It is for encoders that are usually trained in another way, such as GRU4Rec. A `SequenceEncoder` does without: hand
    it the objective by `prepare_training`. Drop-out that an encoder applies in its own training step is not applied.

    Args:
        encoder: Any model with `encode`; its weights are trained in place.
        objective: The task.
        items: Item tower. Default: the encoder's `candidate_table()`, or its `items`.
        seed: Seed of the groups and the negatives.

    Raises:
        ConfigError: The encoder has no item tower and none is given.

    Example:
        >>> trainer = QueryTower(gru4rec, RetrievalObjective(RetrievalConfig(), counts))  # doctest: +SKIP
        >>> trainer.compile(optimizer=RowSparseAdam(0.001), jit_compile=False)  # doctest: +SKIP
        >>> trainer.fit(batches, epochs=10)  # doctest: +SKIP
        >>> evaluate_ranking(gru4rec, test_batches)  # doctest: +SKIP
    """

    def __init__(
        self,
        encoder: FactorisedRecommender,
        objective: RetrievalObjective,
        *,
        items: CandidateTable | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self._objective = objective
        self._items = items
        self.seed = seed
        if items is None and not hasattr(encoder, "candidate_table") and not hasattr(encoder, "items"):
            raise ConfigError(
                f"`{type(encoder).__name__}` has no table of items to compare its states with.",
                remedy="Pass `items`, an object with `lookup` (see `tfrec.losses.sequence_objective.CandidateTable`).",
            )
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker]

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.encoder.score_targets(batch)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step; every event but the first of a sequence is a target.

        Args:
            batch: A batch of `tfrec.data.sequence_pipeline.sequence_dataset`.
        """
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        context = tf.distribute.get_replica_context()
        length = tf.cast(batch["length"], tf.int32)
        query_index, targets = target_positions({"item": batch["item"], "length": length, "num_targets": length - 1})
        known = targets >= RESERVED_ROWS
        query_index, targets = tf.boolean_mask(query_index, known), tf.boolean_mask(targets, known)
        with tf.GradientTape() as tape:
            states = tf.gather_nd(self.encoder.encode(batch), query_index)  # [targets, dim]
            losses = self._objective(
                states,
                targets,
                self._candidates(),
                history=batch["item"],
                sequence_of_target=query_index[:, 0],
                seed=tf.stack([derive_seed(self.seed, "negatives") + context.replica_id_in_sync_group, step]),
            )  # [targets]
            count = tf.cast(tf.size(targets), tf.float32)
            # Gradients are summed over replicas: each divides by the targets of all.
            everywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
            cost = self.optimizer.scale_loss(tf.reduce_sum(losses) / tf.maximum(everywhere, 1.0))
        gradients = tape.gradient(cost, [variable.value for variable in self.trainable_variables])
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(tf.reduce_sum(losses) / tf.maximum(count, 1.0), sample_weight=count)
        return self.get_metrics_result()

    def _candidates(self) -> CandidateTable:
        if self._items is not None:
            return self._items
        make = getattr(self.encoder, "candidate_table", None)
        table: CandidateTable = self.encoder.items if make is None else make()
        return table
