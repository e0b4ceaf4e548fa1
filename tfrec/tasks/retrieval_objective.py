"""The retrieval task of TensorFlow Recommenders as the objective of any sequence encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.errors import DataError
from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.losses.sequence_objective import CandidateTable
from tfrec.sampling.user_history import UserHistory
from tfrec.tasks.retrieval import RetrievalTask


class RetrievalObjective:
    """Calls `tfrs.tasks.Retrieval` with the states of an encoder as queries and the target items as candidates.

    Takes the place of `tfrec.losses.sequence_objective.SequenceObjective`: an encoder that is handed this one becomes
    the query tower of TFRS. The targets of a batch are each other's negatives; when there are more than `group_size`,
    they are dealt at random into groups of nearly equal size, so that no matrix of scores exceeds group_size^2. Item
    biases enter as one further dimension (1 in the query, the bias in the candidate).

    Args:
        config: Settings of the task.
        item_counts: Training events per index, `[vocab]`; 0 for the reserved indices and for cold items.

    Raises:
        DataError: No item has a positive count.

    Reference: Yi et al., "Sampling-bias-corrected neural modeling", RecSys 2019; Yang et al., "Mixed negative
        sampling", WWW 2020 (`uniform_negatives`).
    Differences: probabilities come from exact counts, and are scaled to a largest value of 1 before TFRS clips them to
        [1e-6, 1]: a constant factor does not change the softmax, but unscaled ones would all be clipped in a catalogue
        of millions.
    """

    def __init__(self, config: RetrievalConfig, item_counts: NDArray[Any]) -> None:
        counts = np.asarray(item_counts, np.float64)
        if not counts.sum() > 0:
            raise DataError("No item has a positive count, so there is nothing to retrieve.")
        self.config = config
        self.vocab_size = len(counts)
        self._share = tf.constant(counts / counts.sum(), tf.float32)  # [vocab]
        self._largest_share = float(counts.max() / counts.sum())
        self.task = RetrievalTask(
            num_hard_negatives=config.num_hard_negatives or None,
            remove_accidental_hits=config.remove_accidental_hits,
            reduction="none",
        )

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
            items: The item tower; only `lookup` is used.
            history: Items of each sequence, int32 `[batch, length]`, padded with 0.
            sequence_of_target: Row of `history` that each target belongs to, int32 `[targets]`.
            seed: int32 `[2]`; the same seed deals the same groups and draws the same negatives.
        """
        count = tf.size(targets)
        groups = (count + self.config.group_size - 1) // self.config.group_size  # 0 in a batch without targets
        further = tf.random.stateless_uniform(
            [groups, self.config.uniform_negatives],
            seed,
            minval=RESERVED_ROWS,
            maxval=self.vocab_size,
            dtype=tf.int32,
        )  # [groups, negatives]
        # Every item that is compared is looked up once; `place` says where it stands among the distinct ones.
        distinct, place = tf.unique(tf.concat([targets, tf.reshape(further, [-1])], axis=0))
        place_of_target, place_of_further = place[:count], tf.reshape(place[count:], tf.shape(further))
        vectors, bias = items.lookup(distinct)
        vectors, states = tf.cast(vectors, tf.float32), tf.cast(states, tf.float32)
        if bias is not None:
            vectors = tf.concat([vectors, tf.cast(bias, tf.float32)[:, tf.newaxis]], axis=1)
            states = tf.concat([states, tf.ones([count, 1])], axis=1)
        states *= 1.0 / self.config.temperature  # the narrow factor of the scores
        seen = UserHistory(history)
        order = tf.argsort(tf.random.stateless_uniform([count], seed + tf.constant([0, 1], seed.dtype)))
        order = tf.cond(groups > 1, lambda: order, lambda: tf.range(count))

        def one_group(group: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            rows = order[group * count // groups : (group + 1) * count // groups]  # [group]
            places = tf.concat(
                [tf.gather(place_of_target, rows), place_of_further[group]], axis=0
            )  # [group + negatives]
            ids = tf.gather(distinct, places)  # [group + negatives]
            mask = None
            if self.config.exclude_history:
                mask = _unseen(seen, ids, tf.gather(sequence_of_target, rows))  # [group, group + negatives]
                mask |= tf.equal(places[: tf.size(rows), tf.newaxis], places)  # copies are not what this is about
            loss = self.task(
                tf.gather(states, rows),
                tf.gather(vectors, places),
                candidate_ids=ids,
                candidate_sampling_probability=self.sampling_probability(ids, tf.size(rows)),
                score_mask=mask,
            )  # [group]
            return group + 1, losses.write(group, loss)

        losses = tf.TensorArray(tf.float32, size=groups + 1, infer_shape=False, element_shape=[None])
        losses = losses.write(groups, tf.zeros([0]))  # so that there is something to join when there is no group
        _, losses = tf.while_loop(lambda group, _: group < groups, one_group, (tf.constant(0), losses))
        return tf.scatter_nd(order[:, tf.newaxis], losses.concat(), [count])

    def sampling_probability(self, ids: tf.Tensor, num_targets: tf.Tensor) -> tf.Tensor | None:
        """Returns how likely a slot among the candidates holds each item, up to a common factor.

        A slot of a target holds item i with probability count_i / sum of counts, a slot of a uniform negative with
        1 / number of items; the mixture weighs both by their number of slots.

        Args:
            ids: int32 `[candidates]`.
            num_targets: Number of targets in the group, int32 scalar.

        Returns:
            float32 `[candidates]`, at most 1; None without correction.
        """
        if self.config.sampling_correction == "none":
            return None
        further = float(self.config.uniform_negatives)
        slots = tf.cast(num_targets, tf.float32)
        uniform = 1.0 / (self.vocab_size - RESERVED_ROWS)
        likely = slots * tf.gather(self._share, ids) + further * uniform  # expected copies among the candidates
        return likely / (slots * self._largest_share + further * uniform)


def _unseen(history: UserHistory, ids: tf.Tensor, sequences: tf.Tensor) -> tf.Tensor:
    """Tells which ids are not in the sequence of each target.

    Only the sequences at hand are compared, so that nothing grows with the square of the batch.

    Args:
        history: All sequences of the step.
        ids: int32 `[candidates]`; may repeat.
        sequences: Sequence of each target, int32 `[targets]`.

    Returns:
        bool `[targets, candidates]`.
    """
    candidates, place = tf.unique(ids)  # [distinct], [candidates]
    rows, row = tf.unique(sequences)  # [rows], [targets]
    width = tf.size(candidates) + 1  # the last column stands for "not among them"
    cells = tf.range(tf.size(rows))[:, tf.newaxis] * width + history.columns(candidates, rows)  # [rows, length]
    seen = tf.scatter_nd(cells[..., tf.newaxis], tf.ones_like(cells), [tf.size(rows) * width])
    seen = tf.gather(tf.reshape(seen, [-1, width]), place, axis=1)  # [rows, candidates]: occurrences
    return tf.gather(seen, row) == 0
