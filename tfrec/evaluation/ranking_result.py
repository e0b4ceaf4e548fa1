"""The outcome of one evaluation, with everything a reader needs to compare it with another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.evaluation.ranked_targets import RankedTargets
from tfrec.evaluation.ranking_metrics import metric_gains
from tfrec.evaluation.tie_rules import TieRule
from tfrec.evaluation.top_lists import TopLists


@dataclass(frozen=True)
class RankingResult:
    """Metrics of one scorer on one split and the protocol that produced them.

    Args:
        metrics: `recall@20`, `mrr@20`, `ndcg@20`, `hit@20` in [0, 1], ..., and without a cut-off `mrr` and `avg_rank`
            (a target that is no candidate ranks behind all of them).
        chance: The same metrics, expected for a uniformly random ranking under the same protocol.
        num_targets: Number of ranked events, unknown targets included.
        num_sequences: Number of sequences that had at least one target.
        num_candidates: Number of items that compete for every target (before the history is excluded).
        tie_rule: `standard`, `conservative` or `median`.
        protocol: `full` (all items of the training vocabulary), `subset` (a given list of items) or `sampled, 99
            uniform negatives`; with `, history excluded` when items seen earlier in the sequence are no candidates.
        num_unknown_targets: Targets that are no candidates (out of vocabulary, or not in the subset). They count as
            misses.
        seconds: Wall-clock time of the evaluation.
        targets: Counts of every target, kept on request.
        lists: How often each item was recommended, kept on request.
        similarity: Cosines of states and items (see `SimilarityHistogram`), of factorised models on request.
        scores: Spread of the scores (see `CollapseProbe`), kept on request.
    """

    metrics: dict[str, float]
    chance: dict[str, float]
    num_targets: int
    num_sequences: int
    num_candidates: int
    tie_rule: TieRule
    protocol: str
    num_unknown_targets: int
    seconds: float
    targets: RankedTargets | None = field(default=None, repr=False, compare=False)
    lists: TopLists | None = field(default=None, repr=False, compare=False)
    similarity: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    scores: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def ranks(self) -> NDArray[np.float64] | None:
        """Rank of every target in the order of the batches (infinite for an unknown target), if they were kept."""
        return None if self.targets is None else self.targets.ranks(self.tie_rule)

    @property
    def miss_rank(self) -> float:
        """Rank of a target that is no candidate, in `avg_rank`."""
        return self.num_candidates + 1.0

    def gains(self) -> dict[str, NDArray[np.float64]]:
        """Returns by metric what each target contributes, `[targets]`.

        Raises:
            ConfigError: The targets were not kept.
        """
        ranks = self.ranks
        if ranks is None:
            raise ConfigError("The result has no targets.", remedy="Evaluate with `keep_ranks=True`.")
        return {name: metric_gains(name, ranks, self.miss_rank) for name in self.metrics}

    def as_dict(self) -> dict[str, Any]:
        """Returns the metrics, then the protocol, without the targets: what belongs into `metrics.json`."""
        return {
            **self.metrics,
            "num_targets": self.num_targets,
            "num_sequences": self.num_sequences,
            "num_candidates": self.num_candidates,
            "num_unknown_targets": self.num_unknown_targets,
            "tie_rule": self.tie_rule,
            "protocol": self.protocol,
            "seconds": self.seconds,
        }
