"""Loss over the candidates of one step: the targets of the batch and shared sampled ids."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrec.config.objective_config import ObjectiveConfig
from tfrec.layers.activations import activation
from tfrec.losses.bpr import bpr, bpr_max
from tfrec.losses.cross_entropy import cross_entropy
from tfrec.losses.top1 import top1, top1_max
from tfrec.sampling.popularity_sampler import PopularitySampler


class CandidateTable(Protocol):
    """What the objective needs of an item table, see `tfrec.layers.item_table.ItemTable`."""

    def scores(self, states: tf.Tensor, ids: tf.Tensor) -> tf.Tensor: ...


class CandidateObjective:
    """Scores `[targets of the batch ; sampled ids]` and takes the loss of each row's own target.

    Args:
        config: Loss, activation and sampler settings.
        item_counts: Training events per index, `[vocab_size]`.

    Reference: GRU4Rec (arXiv 1706.03847) sections 3.1-3.3; logQ correction arXiv 2307.14906.
    """

    def __init__(self, config: ObjectiveConfig, item_counts: np.ndarray) -> None:
        self.config = config
        self.sampler = PopularitySampler(item_counts, config.negative_alpha)
        self._activate = activation(config.final_activation)
        self._log_counts = tf.constant(np.log(np.maximum(item_counts, 1)), tf.float32)

    def __call__(
        self, states: tf.Tensor, targets: tf.Tensor, active: tf.Tensor, table: CandidateTable, negatives: tf.Tensor
    ) -> tf.Tensor:
        """Returns the summed loss of the active rows, scalar float.

        Args:
            states: float `[rows, dim]`.
            targets: Index of each row's next item, int `[rows]`; each is also a candidate for the other rows.
            active: bool `[rows]`; an inactive row has no loss and its target is no candidate.
            table: Item table.
            negatives: Sampled ids, int `[num_negatives]`.
        """
        candidates = tf.concat([targets, negatives], axis=0)  # [candidates]
        scores = tf.cast(table.scores(states, candidates), tf.float32)  # [rows, candidates]
        if self.config.logq_strength:
            log_q = tf.concat(
                [tf.gather(self._log_counts, targets), self.sampler.log_weight(negatives)], axis=0
            )  # [candidates]
            scores -= self.config.logq_strength * log_q
        column_mask = tf.concat([active, tf.ones_like(negatives, tf.bool)], axis=0)  # [candidates]
        losses = self._loss(self._activate(scores), tf.range(tf.size(targets)), column_mask)  # [rows]
        return tf.reduce_sum(tf.where(active, losses, 0.0))

    def _loss(self, scores: tf.Tensor, target_columns: tf.Tensor, column_mask: tf.Tensor) -> tf.Tensor:
        match self.config.loss:
            case "cross-entropy" | "xe_logit":
                return cross_entropy(
                    scores, target_columns, column_mask, label_smoothing=self.config.label_smoothing
                )
            case "bpr-max":
                return bpr_max(
                    scores, target_columns, column_mask, score_regularization=self.config.score_regularization
                )
            case "bpr":
                return bpr(scores, target_columns, column_mask)
            case "top1":
                return top1(scores, target_columns, column_mask)
            case "top1-max":
                return top1_max(scores, target_columns, column_mask)
