"""Negatives of each target that are neither the target nor, if wanted, in its user's history."""

from __future__ import annotations

import tensorflow as tf

from tfrec.sampling.negative_sampler import NegativeSampler
from tfrec.sampling.user_history import UserHistory

ROUNDS = 3
"""How often a place that holds an excluded id is filled; what is still excluded then is masked."""


def exclusive_draw(
    sampler: NegativeSampler,
    num_negatives: int,
    seed: tf.Tensor,
    targets: tf.Tensor,
    history: UserHistory | None,
    sequence_of_target: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Draws negatives for each target, replacing ids that are excluded.

    Args:
        sampler: Where ids come from.
        num_negatives: Negatives per target.
        seed: int32 `[2]`.
        targets: int32 `[targets]`; always excluded from their own negatives.
        history: Items that are excluded as well, or None.
        sequence_of_target: Row of the history that each target belongs to, int32 `[targets]`.

    Returns:
        `(ids, log_count, valid)`, all `[targets, num_negatives]`: the ids; the logarithm of how often each is expected
        among the negatives of its target, which sums to the expected number of valid places; and which places are
        valid. With m the probability that a draw is excluded, a place is valid after r rounds with probability 1 - m^r,
        and then holds item i with probability q_i / (1 - m).
    """
    ids, _ = sampler.draw(tf.stack([tf.size(targets), num_negatives]), seed, targets)  # [targets, negatives]
    excluded = _excluded(ids, targets, history, sequence_of_target)
    for round_number in range(1, ROUNDS):
        places = tf.where(excluded)  # [places, 2]
        row = tf.cast(places[:, 0], tf.int32)  # [places]
        again, _ = sampler.draw(tf.stack([tf.size(row), 1]), seed + tf.constant([round_number, 0], seed.dtype), targets)
        still = _excluded(again, tf.gather(targets, row), history, tf.gather(sequence_of_target, row))  # [places, 1]
        ids = tf.tensor_scatter_nd_update(ids, places, again[:, 0])
        excluded = tf.tensor_scatter_nd_update(excluded, places, still[:, 0])
    share = tf.exp(sampler.log_probability(targets, targets))  # [targets]
    if history is not None:
        in_history = history.contains(targets[:, tf.newaxis], sequence_of_target)[:, 0]  # [targets]
        by_sequence = history.share(lambda ids: sampler.log_probability(ids, targets))  # [batch]
        share = tf.where(in_history, 0.0, share) + tf.gather(by_sequence, sequence_of_target)
    # 1 + m + ... + m^(r - 1) draws are made for a place on average
    draws = tf.add_n([tf.pow(share, float(number)) for number in range(ROUNDS)])  # [targets]
    log_draws = tf.math.log(float(num_negatives) * draws)[:, tf.newaxis]  # [targets, 1]
    return ids, sampler.log_probability(ids, targets) + log_draws, ~excluded


def _excluded(
    ids: tf.Tensor, targets: tf.Tensor, history: UserHistory | None, sequence_of_target: tf.Tensor
) -> tf.Tensor:
    """Returns which ids `[rows, any]` must not be negatives of the targets `[rows]`."""
    excluded = ids == targets[:, tf.newaxis]
    return excluded if history is None else excluded | history.contains(ids, sequence_of_target)
