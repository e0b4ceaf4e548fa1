"""The outcome of one evaluation, with everything a reader needs to compare it with another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.tie_rules import TieRule


@dataclass(frozen=True)
class RankingResult:
    """Metrics of one scorer on one split and the protocol that produced them.

    Args:
        metrics: `recall@20`, `mrr@20`, `ndcg@20`, `hit@20`, ... in [0, 1].
        chance: The same metrics, expected for a uniformly random ranking under the same protocol.
        num_targets: Number of ranked events, unknown targets included.
        num_sequences: Number of sequences that had at least one target.
        num_candidates: Number of items that compete for every target (before the history is excluded).
        tie_rule: `standard`, `conservative` or `median`.
        protocol: `full` (all items of the training vocabulary) or `subset` (a given list of items); with
            `, history excluded` when items seen earlier in the sequence are no candidates.
        num_unknown_targets: Targets that are no candidates (out of vocabulary, or not in the subset). They count as
            misses.
        seconds: Wall-clock time of the evaluation.
        ranks: Rank of every target in dataset order (infinite for an unknown target), kept on request.
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
    ranks: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Returns the metrics, then the protocol, without the ranks: what belongs into `metrics.json`."""
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
