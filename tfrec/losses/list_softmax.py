"""Softmax over one list of candidates that all users of a step share."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.sampling.user_history import UserHistory

NEVER = -1e9
"""Logit of what is not there; infinity would make differences of two of them undefined."""


class CandidateList(NamedTuple):
    """Distinct items that the users of a step are compared with.

    Attributes:
        ids: int32 `[candidates]`.
        target_column: Where each target stands among them, int32 `[targets]`.
        target_row: User of each target, int32 `[targets]`.
        drawn: Which of them were drawn uniformly, bool `[candidates]`.
        allowed: Which are negatives of which user: those with training events that are not in his sequence, bool
            `[rows, candidates]`.
        log_inclusion: Logarithm of how likely each is in the list, float `[candidates]`.
    """

    ids: tf.Tensor
    target_column: tf.Tensor
    target_row: tf.Tensor
    drawn: tf.Tensor
    allowed: tf.Tensor
    log_inclusion: tf.Tensor


def candidate_list(
    targets: tf.Tensor, target_row: tf.Tensor, sequences: tf.Tensor, share: tf.Tensor, draws: int, seed: tf.Tensor
) -> CandidateList:
    """Makes the list of a step: its targets and uniform draws.

    Items without training events are never targets: were they negatives, a model would learn that what it knows of
    such items (a text, no vector of their own) is never right.

    Args:
        targets: Item indices, int32 `[targets]`, all at least 2.
        target_row: User of each, int32 `[targets]`.
        sequences: Items of every user, int32 `[rows, length]`, padded with 0.
        share: Share of each item in the training events, float `[vocab]`.
        draws: Number of uniform draws.
        seed: int32 `[2]`.
    """
    vocab = tf.size(share)
    further = tf.random.stateless_uniform([draws], seed, minval=RESERVED_ROWS, maxval=vocab, dtype=tf.int32)
    ids, place = tf.unique(tf.concat([targets, further], axis=0))
    count = tf.size(targets)
    drawn = tf.math.unsorted_segment_max(tf.ones([draws]), place[count:], tf.size(ids)) > 0
    rows = tf.shape(sequences)[0]
    everybody = tf.broadcast_to(ids, [rows, tf.size(ids)])
    share_of = tf.gather(share, ids)  # [candidates]
    allowed = (share_of > 0) & ~UserHistory(sequences).contains(everybody, tf.range(rows))
    expected = tf.cast(count, tf.float32) * share_of + draws / tf.cast(vocab - RESERVED_ROWS, tf.float32)
    return CandidateList(ids, place[:count], target_row, drawn, allowed, tf.math.log(-tf.math.expm1(-expected)))


def list_softmax(scores: tf.Tensor, candidates: CandidateList) -> tf.Tensor:
    """Returns the loss of every target, float32 `[targets]`: the softmax over the catalogue, estimated by the list.

    `-s + log(exp(s) + sum over negatives of exp(s_c) / p_c)`, where p_c is how likely the list has c.

    Args:
        scores: float `[rows, candidates]`.
        candidates: The list.
    """
    corrected = tf.where(candidates.allowed, scores - candidates.log_inclusion, NEVER)
    others = tf.gather(tf.reduce_logsumexp(corrected, axis=1), candidates.target_row)  # [targets]
    own = tf.gather_nd(scores, tf.stack([candidates.target_row, candidates.target_column], axis=1))
    return tf.nn.softplus(others - own)


def list_distillation(student: tf.Tensor, teacher: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns `T^2 KL(softmax(teacher / T) || softmax(student / T))` of every list, float `[rows]`.

    Args:
        student: Scores, float `[rows, candidates]`.
        teacher: Scores that nothing is learned through, of the same shape.
        temperature: T.

    Reference: arXiv 1503.02531.
    """
    wanted = tf.nn.log_softmax(tf.stop_gradient(teacher) / temperature)
    found = tf.nn.log_softmax(student / temperature)
    return temperature**2 * tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=1)
