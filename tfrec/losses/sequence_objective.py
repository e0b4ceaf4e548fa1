"""Loss of the states of a sequence encoder, chosen independently of the encoder."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.errors import ConfigError
from tfrec.layers.in_place import fill_in_columns
from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.losses.binary_cross_entropy import binary_cross_entropy, gbce_power
from tfrec.losses.bpr import bpr_max, mean_bpr
from tfrec.losses.full_softmax import full_softmax
from tfrec.losses.log_normalizer import log_normalizer
from tfrec.losses.own_scores import own_scores
from tfrec.losses.sampled_scores import SampledScores
from tfrec.losses.sampled_softmax import corrected_targets, sampled_softmax, target_against
from tfrec.losses.triplet import triplet
from tfrec.sampling.exclusive_draw import exclusive_draw
from tfrec.sampling.in_batch_sampler import InBatchSampler
from tfrec.sampling.mixed_sampler import MixedSampler
from tfrec.sampling.negative_sampler import NegativeSampler
from tfrec.sampling.popularity_sampler import PopularitySampler
from tfrec.sampling.uniform_sampler import UniformSampler
from tfrec.sampling.user_history import UserHistory


class CandidateTable(Protocol):
    """Item vectors as an objective sees them."""

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns vectors `[..., dim]` and biases `[...]` or None of ids `[...]`; touches no other row."""

    def whole(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns all vectors `[vocab, dim]` and biases `[vocab]` or None."""


class SequenceObjective:
    """Loss per target of any encoder that turns the events before a target into a state.

    Every distinct item of a step is looked up once, so that its gradient arrives summed. Draws of the target itself
    never count as its negatives.

    Args:
        config: Loss, sampler and their settings.
        item_counts: Training events per index, `[vocab]`; 0 for the reserved indices.

    Raises:
        DataError: Nothing can be drawn.
    """

    def __init__(self, config: SequenceObjectiveConfig, item_counts: NDArray[Any]) -> None:
        self.config = config
        self.vocab_size = len(item_counts)
        self._sampler = _build_sampler(config, np.asarray(item_counts))
        self._others_are_drawn = config.sampler in ("in-batch", "mixed")

    def __call__(
        self,
        states: tf.Tensor,
        targets: tf.Tensor,
        items: CandidateTable,
        *,
        history: tf.Tensor,
        sequence_of_target: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the loss of every target, float32 `[targets]`.

        Args:
            states: State before each target, float `[targets, dim]`.
            targets: int32 `[targets]`, all at least 2.
            items: The item table.
            history: Items of each sequence, int32 `[batch, length]`, padded with 0.
            sequence_of_target: Row of `history` that each target belongs to, int32 `[targets]`.
            seed: int32 `[2]`; the same seed draws the same negatives.

        Raises:
            ConfigError: The table has biases and items are compared by cosine.
        """
        states = self._normalized(tf.cast(states, tf.float32)) / self.config.temperature  # [targets, dim]
        if self._sampler is None:
            vectors, bias = self._prepared(*items.whole())  # [vocab, dim], [vocab]
            return full_softmax(
                states,
                targets,
                vectors,
                bias,
                reserved=RESERVED_ROWS,
                label_smoothing=self.config.label_smoothing,
            )
        seen = UserHistory(history) if self.config.exclude_history else None
        if self.config.negatives == "per-target":
            return self._against_own(self._sampler, states, targets, items, seen, sequence_of_target, seed)
        return self._against_shared(self._sampler, states, targets, items, seen, sequence_of_target, seed)

    def _against_shared(
        self,
        sampler: NegativeSampler,
        states: tf.Tensor,
        targets: tf.Tensor,
        items: CandidateTable,
        seen: UserHistory | None,
        sequence_of_target: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """All targets are compared with the same draws; each distinct one is scored once and weighted."""
        config = self.config
        drawn, _ = sampler.draw((config.num_negatives,), seed, targets)  # [draws]
        rows = _distinct_rows(drawn, targets)
        vectors, bias = self._prepared(*items.lookup(rows.ids))  # [rows, dim], [rows]
        target_scores = plain = _scores_of(states, vectors, bias, rows.targets)  # [targets]
        negatives = rows.ids[: rows.num_drawn]  # [negatives]
        occurrences = tf.math.unsorted_segment_sum(tf.ones(tf.shape(drawn)), rows.drawn, rows.num_drawn)  # [negatives]
        excluded = tf.minimum(rows.targets, rows.num_drawn)[:, tf.newaxis]  # [targets, 1]
        if seen is not None:
            in_history = tf.gather(seen.columns(negatives), sequence_of_target)  # [targets, length]
            excluded = tf.concat([excluded, in_history], axis=1)
        vectors = vectors[: rows.num_drawn]  # [negatives, dim]
        bias = None if bias is None else bias[: rows.num_drawn]  # [negatives]
        log_counts = None
        if config.logq != "none":
            # A target of the step is surrounded by the others, of which its own place is none.
            num_draws = tf.cast(tf.maximum(tf.size(drawn) - int(self._others_are_drawn), 1), tf.float32)
            log_counts = sampler.log_probability(negatives, targets) + tf.math.log(num_draws)  # [negatives]
            target_scores = corrected_targets(
                target_scores, sampler.log_probability(targets, targets), num_draws, config.logq
            )
        if config.loss in ("sampled-softmax", "infonce") and config.label_smoothing == 0.0:
            offset = tf.math.log(occurrences) - (0.0 if log_counts is None else log_counts)  # [negatives]
            offset = offset if bias is None else bias + offset
            return target_against(log_normalizer(states, vectors, offset, excluded=excluded), target_scores)
        scores = tf.matmul(states, vectors, transpose_b=True)  # [targets, negatives]
        scores = scores if bias is None else scores + bias
        kept = tf.ones([tf.size(targets), rows.num_drawn + 1])  # [targets, negatives + 1]
        weights = occurrences * fill_in_columns(kept, excluded, 0.0)[:, :-1]  # [targets, negatives]
        return self._loss(SampledScores(target_scores, scores, weights), log_counts, plain)

    def _against_own(
        self,
        sampler: NegativeSampler,
        states: tf.Tensor,
        targets: tf.Tensor,
        items: CandidateTable,
        seen: UserHistory | None,
        sequence_of_target: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Each target has draws of its own."""
        config = self.config
        drawn, log_counts, valid = exclusive_draw(
            sampler, config.num_negatives, seed, targets, seen, sequence_of_target
        )  # [targets, negatives]
        rows = _distinct_rows(tf.reshape(drawn, [-1]), targets)
        vectors, bias = self._prepared(*items.lookup(rows.ids))  # [rows, dim], [rows]
        place = tf.reshape(rows.drawn, tf.shape(drawn))  # [targets, negatives]
        scores = own_scores(states, vectors, place)  # [targets, negatives]
        scores = scores if bias is None else scores + tf.gather(bias, place)
        plain = _scores_of(states, vectors, bias, rows.targets)  # [targets]
        target_scores = corrected_targets(
            plain, sampler.log_probability(targets, targets), float(config.num_negatives), config.logq
        )
        weights = tf.cast(valid, tf.float32)  # [targets, negatives]
        log_counts = None if config.logq == "none" else log_counts
        return self._loss(SampledScores(target_scores, scores, weights), log_counts, plain)

    def _loss(self, scores: SampledScores, log_counts: tf.Tensor | None, plain: tf.Tensor) -> tf.Tensor:
        """Loss per target; `plain` are the scores of the targets without correction."""
        config = self.config
        if config.loss in ("triplet", "infonce-triplet"):
            cosines = SampledScores(plain * config.temperature, scores.negatives * config.temperature, scores.weights)
            apart = triplet(cosines, config.margin)
            if config.loss == "triplet":
                return apart
            contrast = sampled_softmax(scores, log_counts, label_smoothing=config.label_smoothing)
            return config.infonce_share * contrast + (1.0 - config.infonce_share) * apart
        if config.loss in ("bce", "gbce"):
            calibration = config.gbce_t if config.loss == "gbce" else 0.0
            power = gbce_power(config.num_negatives, self.vocab_size - RESERVED_ROWS, calibration)
            return binary_cross_entropy(scores, target_power=power)
        if config.loss == "bpr":
            return mean_bpr(scores)
        if config.loss == "bpr-max":
            return _bpr_max(scores, config.score_regularization)
        return sampled_softmax(scores, log_counts, label_smoothing=config.label_smoothing)

    def _prepared(self, vectors: tf.Tensor, bias: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns float32 vectors and biases whose products with the states are scores."""
        vectors = self._normalized(tf.cast(vectors, tf.float32))
        if bias is None:
            return vectors, None
        if self.config.similarity == "cosine":
            raise ConfigError(
                f"`objective.loss={self.config.loss}` compares by cosine, which has no place for item biases.",
                remedy="Build the model without item biases, or use another loss.",
            )
        return vectors, tf.cast(bias, tf.float32) / self.config.temperature

    def _normalized(self, vectors: tf.Tensor) -> tf.Tensor:
        if self.config.similarity == "dot":
            return vectors
        return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-24)


class _Rows(NamedTuple):
    """Distinct items of a step, the drawn ones first: ids `[rows]`, and the place of every draw and every target."""

    ids: tf.Tensor
    drawn: tf.Tensor
    targets: tf.Tensor
    num_drawn: tf.Tensor


def _distinct_rows(drawn: tf.Tensor, targets: tf.Tensor) -> _Rows:
    ids, place = tf.unique(tf.concat([drawn, targets], axis=0))  # in order of first appearance
    of_drawn, of_targets = place[: tf.size(drawn)], place[tf.size(drawn) :]
    return _Rows(ids, of_drawn, of_targets, tf.reduce_max(tf.concat([of_drawn, [-1]], axis=0)) + 1)


def _scores_of(states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None, rows: tf.Tensor) -> tf.Tensor:
    """Returns the score of each state with a row of its own, float32 `[targets]`."""
    scores = tf.reduce_sum(states * tf.gather(vectors, rows), axis=1)
    return scores if bias is None else scores + tf.gather(bias, rows)


def _bpr_max(scores: SampledScores, score_regularization: float) -> tf.Tensor:
    """BPR-max with the target as the first column; 0 where no negative is left."""
    target = scores.targets[:, tf.newaxis]  # [targets, 1]
    loss = bpr_max(
        tf.concat([target, scores.negatives], axis=1),
        tf.zeros([tf.size(scores.targets)], tf.int32),
        tf.concat([tf.ones_like(target), scores.weights], axis=1),
        score_regularization=score_regularization,
    )  # [targets]
    return tf.where(tf.reduce_any(scores.weights > 0, axis=1), loss, 0.0)


def _build_sampler(config: SequenceObjectiveConfig, counts: NDArray[Any]) -> NegativeSampler | None:
    match config.sampler:
        case "uniform":
            return UniformSampler(len(counts))
        case "popularity":
            return PopularitySampler(counts, config.negative_alpha)
        case "in-batch":
            return InBatchSampler(counts)
        case "mixed":
            further = PopularitySampler(counts, config.negative_alpha)
            return MixedSampler(InBatchSampler(counts), further, config.num_negatives)
        case _:
            return None
