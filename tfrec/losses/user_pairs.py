"""Losses that bring the two vectors of a user together and those of different users apart."""

from __future__ import annotations

import tensorflow as tf

_NEVER = -1e9


def pair_bpr(cosine_own: tf.Tensor, cosine_other: tf.Tensor, *, temperature: float = 1.0) -> tf.Tensor:
    """Returns `-log sigmoid((own - other) / temperature)`: float `[...]` twice -> float `[...]`.

    With temperature 1 it lies between .12693 and 2.12693, as cosines differ by at most 2.

    Reference: Rendle et al., arXiv 1205.2618; on cosines: zy-hang/LongTermInterestModel.
    """
    return tf.nn.softplus((cosine_other - cosine_own) / temperature)


def bpr_in_batch(
    long: tf.Tensor, short: tf.Tensor, users: tf.Tensor, *, shift: tf.Tensor, temperature: float = 1.0
) -> tf.Tensor:
    """BPR against the short window of one other user of the batch.

    A user is compared with the one `shift` rows on, so each short vector is once a positive and once a negative and is
    computed once. In a shuffled batch that is a uniform draw from the other users.

    Args:
        long: Unit vectors float `[batch, dim]`.
        short: Unit vectors float `[batch, dim]`.
        users: Whom a row belongs to, `[batch]`; a row is not compared with another one of the same user.
        shift: int32 scalar, 1 to batch - 1.
        temperature: Cosines are divided by it.

    Returns:
        float `[batch]`; 0 where there is nobody to compare with.
    """
    other = tf.roll(short, shift, axis=0)
    differs = tf.cast(tf.not_equal(users, tf.roll(users, shift, axis=0)), long.dtype)
    own, apart = tf.reduce_sum(long * short, axis=-1), tf.reduce_sum(long * other, axis=-1)
    return differs * pair_bpr(own, apart, temperature=temperature)


def softmax_in_batch(long: tf.Tensor, short: tf.Tensor, users: tf.Tensor, *, temperature: float = 1.0) -> tf.Tensor:
    """Cross-entropy of the user's own short vector among those of the batch; other rows of the user do not compete.

    Args:
        long: Unit vectors float `[batch, dim]`.
        short: Unit vectors float `[batch, dim]`.
        users: Whom a row belongs to, `[batch]`.
        temperature: Cosines are divided by it.

    Returns:
        float `[batch]`.

    Reference: InfoNCE, arXiv 1807.03748.
    """
    logits = tf.matmul(long, short, transpose_b=True) / temperature  # [batch, batch]
    rows = tf.range(tf.shape(users)[0])
    same = tf.equal(users[:, tf.newaxis], users) & tf.not_equal(rows[:, tf.newaxis], rows)
    logits = tf.where(same, _NEVER, logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rows, logits=logits)
