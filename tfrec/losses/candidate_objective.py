"""Loss over the candidates of one step: the targets of the batch and shared sampled ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.objective_config import ObjectiveConfig
from tfrec.layers.activations import activation
from tfrec.losses.bpr import bpr, bpr_max
from tfrec.losses.cross_entropy import cross_entropy, limited
from tfrec.losses.top1 import top1, top1_max
from tfrec.sampling.popularity_sampler import PopularitySampler


class Candidates(NamedTuple):
    """Distinct candidates of a step.

    Attributes:
        ids: Distinct ids, targets and sampled ids, int `[candidates]`.
        target_columns: Column of each row's target, int `[rows]`.
        negative_columns: Column of each sampled id, int `[negatives]`.
    """

    ids: tf.Tensor
    target_columns: tf.Tensor
    negative_columns: tf.Tensor


class CandidateObjective:
    """Loss of each row's own target among `[targets of the batch ; sampled ids]`.

    Every distinct candidate is scored once; how often it occurs is its weight.

    Args:
        config: Loss, activation and sampler settings.
        item_counts: Training events per index, `[vocab_size]`.

    Reference: GRU4Rec (arXiv 1706.03847) sections 3.1-3.3; logQ correction with raw counts for the in-batch columns and
        count^alpha for the sampled ones.
    """

    def __init__(self, config: ObjectiveConfig, item_counts: NDArray[Any]) -> None:
        self.config = config
        self.sampler = PopularitySampler(item_counts, config.negative_alpha)
        self._activate = activation(config.final_activation)
        self._log_counts = tf.constant(np.log(np.maximum(item_counts, 1)), tf.float32)

    def __call__(
        self, scores: tf.Tensor, candidates: Candidates, active: tf.Tensor, *, bias: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the summed loss of the active rows, scalar float.

        Args:
            scores: float32 `[rows, candidates]`, before bias, activation and correction.
            candidates: What the columns are.
            active: bool `[rows]`; an inactive row has no loss and its target is no candidate.
            bias: Added to the scores of every row, float32 `[candidates]`.
        """
        in_batch = tf.math.unsorted_segment_sum(
            tf.cast(active, tf.float32), candidates.target_columns, tf.size(candidates.ids)
        )  # [candidates]
        sampled = tf.math.unsorted_segment_sum(
            tf.ones_like(candidates.negative_columns, tf.float32), candidates.negative_columns, tf.size(candidates.ids)
        )  # [candidates]
        strength = self.config.logq_strength
        if bias is not None and not self._is_plain_cross_entropy:
            scores, bias = tf.nn.bias_add(scores, bias), None
        if not strength:
            losses = self._loss(self._activate(scores), candidates.target_columns, in_batch + sampled, bias)
        elif self._is_plain_cross_entropy:
            # exp(s - logq log q) summed over the occurrences of a candidate is exp(s) times a weight of its own.
            log_in_batch = strength * tf.gather(self._log_counts, candidates.ids)  # [candidates]
            log_sampled = strength * self.sampler.log_weight(candidates.ids)
            weights = in_batch * tf.exp(-log_in_batch) + sampled * tf.exp(-log_sampled)
            losses = cross_entropy(scores, candidates.target_columns, weights, bias=bias)
            losses = limited(losses + tf.gather(log_in_batch, candidates.target_columns))
        else:
            losses = self._loss_per_occurrence(scores, candidates, active)
        return tf.reduce_sum(tf.where(active, losses, 0.0))

    @property
    def _is_plain_cross_entropy(self) -> bool:
        config = self.config
        return config.loss == "cross-entropy" and config.final_activation == "linear" and config.label_smoothing == 0.0

    def _loss_per_occurrence(self, scores: tf.Tensor, candidates: Candidates, active: tf.Tensor) -> tf.Tensor:
        """The logQ correction differs between occurrences of one id, so each gets a column of its own."""
        columns = tf.concat([candidates.target_columns, candidates.negative_columns], axis=0)  # [occurrences]
        log_q = tf.concat(
            [
                tf.gather(self._log_counts, tf.gather(candidates.ids, candidates.target_columns)),
                self.sampler.log_weight(tf.gather(candidates.ids, candidates.negative_columns)),
            ],
            axis=0,
        )  # [occurrences]
        corrected = tf.gather(scores, columns, axis=1) - self.config.logq_strength * log_q  # [rows, occurrences]
        weights = tf.concat(
            [tf.cast(active, tf.float32), tf.ones_like(candidates.negative_columns, tf.float32)], axis=0
        )
        return self._loss(self._activate(corrected), tf.range(tf.size(candidates.target_columns)), weights)

    def _loss(
        self,
        scores: tf.Tensor,
        target_columns: tf.Tensor,
        column_weights: tf.Tensor,
        bias: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the loss per row; `bias` is for cross-entropy only, other losses get scores that hold it."""
        config = self.config
        match config.loss:
            case "cross-entropy":
                losses = cross_entropy(
                    scores, target_columns, column_weights, label_smoothing=config.label_smoothing, bias=bias
                )
                return losses if config.label_smoothing else limited(losses)
            case "xe_logit":
                return cross_entropy(scores, target_columns, column_weights, label_smoothing=config.label_smoothing)
            case "bpr-max":
                return bpr_max(scores, target_columns, column_weights, score_regularization=config.score_regularization)
            case "bpr":
                return bpr(scores, target_columns, column_weights)
            case "top1":
                return top1(scores, target_columns, column_weights)
            case "top1-max":
                return top1_max(scores, target_columns, column_weights)
