"""The best that any model can do on the synthetic clickstream, from its true probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.synthetic import Clickstream
from tfrec.data.targets import target_positions
from tfrec.evaluation.ranking_metrics import DEFAULT_CUTOFFS, METRIC_FAMILIES, check_cutoffs, gains
from tfrec.evaluation.scorer import Batch

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class OracleScorer:
    """Scores items by their true probability of being next: sum over interests of P(z | history) P(item | history, z).

    The posterior of the hidden interest is updated by Bayes' rule event by event. Ranking by this probability maximises
    the expected recall, MRR and NDCG at every cut-off at once: its row in a table of results is the optimum. An event
    that is out of the vocabulary is passed over; with such events the optimum is a close approximation.

    Args:
        world: What the sessions were drawn from.
        raw_ids: Item ids of the vocabulary; position i has index i + 2, `[vocab - 2]`.
    """

    def __init__(self, world: Clickstream, raw_ids: Sequence[int] | NDArray[Any]) -> None:
        self.world = world
        ids = np.asarray(raw_ids, dtype=np.int64)
        number = np.full(world.item_ids.max() + 1, -1, np.int64)
        number[world.item_ids] = np.arange(world.item_ids.size)
        self._number_of_index = np.concatenate([[-1, -1], number[ids]])  # [vocab]
        self.vocab_size = int(self._number_of_index.size)

    def probabilities(self, batch: Batch) -> Floats:
        """Returns P(next item = index | events before the target), over the vocabulary.

        Args:
            batch: See `Scorer`.

        Returns:
            Rows sum to 1 over the indices from 2 on, `[targets, vocab]`.
        """
        world = self.world
        query, _ = target_positions(batch)
        row, position = query.numpy().T.astype(np.int64)  # [targets] each
        items = self._number_of_index[np.asarray(batch["item"])]  # [batch, seq]
        posterior = self._posteriors(items)[row, position]  # [targets, interests]
        _, _, p_interest = world.mixture(2)
        broad = p_interest * world.preference + self._p_popularity(2) * world.popularity  # [interests, items]
        scores = posterior @ broad  # [targets, items]
        last = items[row, position]  # [targets]
        previous = np.where(position > 0, items[row, position - 1], -1)  # [targets]
        p_last = np.where(position > 0, world.mixture(2)[0], world.mixture(1)[0])  # [targets]
        p_previous = np.full(position.size, world.mixture(2)[1])  # [targets]; without a previous item it has no source
        for source, weight in ((last, p_last), (previous, p_previous)):
            known = np.flatnonzero(source >= 0)
            mixed = np.einsum("tz,zts->ts", posterior[known], world.successor_weights[:, source[known]])
            flat = known[:, np.newaxis] * scores.shape[1] + world.successors[source[known]]  # [known, successors]
            added = np.bincount(flat.ravel(), (mixed * weight[known, np.newaxis]).ravel(), scores.size)
            scores += added.reshape(scores.shape)
        ordered = np.where(self._number_of_index >= 0, scores[:, self._number_of_index], 0.0)  # [targets, vocab]
        return ordered / ordered.sum(axis=1, keepdims=True)

    def score_targets(self, batch: Batch) -> tf.Tensor:
        """Returns `probabilities` as float32 `[targets, vocab]`."""
        return tf.constant(self.probabilities(batch).astype(np.float32))

    def _posteriors(self, items: Integers) -> Floats:
        """P(interest | events 0..t) for every t, `[batch, seq, interests]`."""
        world = self.world
        interests = world.config.num_interests
        belief = np.full((items.shape[0], interests), 1.0 / interests)  # [batch, interests]
        history = np.empty((*items.shape, interests))  # [batch, seq, interests]
        for position in range(items.shape[1]):
            item = items[:, position]  # [batch]
            p_last, p_previous, p_interest = world.mixture(position)
            likelihood = (
                p_interest * world.preference[:, item].T
                + self._p_popularity(position) * world.popularity[item, np.newaxis]
            )  # [batch, interests]
            if position > 0:
                likelihood += p_last * self._followed(items[:, position - 1], item)
            if position > 1:
                likelihood += p_previous * self._followed(items[:, position - 2], item)
            belief = np.where(item[:, np.newaxis] >= 0, belief * likelihood, belief)
            belief /= belief.sum(axis=1, keepdims=True)
            history[:, position] = belief
        return history

    def _followed(self, source: Integers, item: Integers) -> Floats:
        """P(item | it was drawn as a successor of source, interest), `[batch, interests]`."""
        matches = (self.world.successors[source] == item[:, np.newaxis]) & (source >= 0)[:, np.newaxis]
        return np.einsum("bs,zbs->bz", matches, self.world.successor_weights[:, source])

    def _p_popularity(self, position: int) -> float:
        return 1.0 - sum(self.world.mixture(position))


def best_attainable(
    scorer: OracleScorer, batches: Iterable[Batch], *, cutoffs: Sequence[int] = DEFAULT_CUTOFFS
) -> dict[str, float]:
    """Expected metrics of the best possible ranking, exact given the histories.

    For each target the true probabilities are sorted; the expected gain is the sum of probability times gain over the
    ranks within the cut-off. Unlike `evaluate_ranking(scorer, ...)`, which is the optimum on the targets that happened
    to be drawn, this does not depend on the targets themselves.

    Args:
        scorer: The oracle.
        batches: Batches of one split.
        cutoffs: Cut-offs. Default: 1, 5, 10, 20.

    Returns:
        `recall@1`, `mrr@1`, `ndcg@1`, `hit@1`, ...
    """
    check_cutoffs(cutoffs)
    deepest = min(max(cutoffs), scorer.vocab_size - 2)
    mass = np.zeros(deepest)  # sum over targets of the probability at each rank
    num_targets = 0
    for batch in batches:
        probabilities = scorer.probabilities(batch)  # [targets, vocab]
        top = -np.sort(np.partition(-probabilities, deepest - 1, axis=1)[:, :deepest], axis=1)  # [targets, deepest]
        mass += top.sum(axis=0)
        num_targets += top.shape[0]
    ranks = np.arange(1.0, deepest + 1.0)
    return {
        f"{family}@{cutoff}": float(mass @ gains(family, ranks, cutoff)) / max(1, num_targets)
        for cutoff in cutoffs
        for family in METRIC_FAMILIES
    }
