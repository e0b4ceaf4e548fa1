"""The difference between two results on the same targets, with what luck could explain."""

from __future__ import annotations

from typing import Any

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.bootstrap import percentile_interval, resampled_means
from tfrec.evaluation.ranking_result import RankingResult


def compare_results(first: RankingResult, second: RankingResult, settings: BootstrapConfig) -> dict[str, Any]:
    """Compares two results target by target: each resample draws users once and takes them for both.

    Args:
        first: A result of `evaluate_ranking(..., keep_ranks=True)`.
        second: Another one, of the same targets by the same protocol.
        settings: Resamples.

    Returns:
        Label and counts of the protocol, and one row per metric: both values (`a`, `b`), the chance level, the
        difference (first minus second), its interval, the two-sided p-value and the share of resamples in which the
        first is better.

    Raises:
        ConfigError: The targets or the protocols differ, or the targets were not kept.
    """
    for field in ("protocol", "tie_rule", "num_candidates"):
        ours, theirs = getattr(first, field), getattr(second, field)
        if ours != theirs:
            raise ConfigError(
                f"The results have {field} `{ours}` and `{theirs}`: they cannot be compared.",
                remedy="Measure both by the same protocol.",
            )
    gains, other_gains = first.gains(), second.gains()
    if first.targets is None or second.targets is None or not first.targets.same_targets(second.targets):
        raise ConfigError("The results are of different targets.", remedy="Measure both on the same split.")
    groups = first.targets.owner
    estimates = resampled_means(gains, groups, samples=settings.samples, seed=settings.seed)
    others = resampled_means(other_gains, groups, samples=settings.samples, seed=settings.seed)
    rows = []
    for metric, value in first.metrics.items():
        resampled = estimates[metric] - others[metric]  # [samples]
        difference = value - second.metrics[metric]
        interval = percentile_interval(metric, difference, resampled, settings.confidence)
        compared = interval.comparison(lower_is_better=metric == "avg_rank")
        values = {"metric": metric, "a": value, "b": second.metrics[metric], "chance": first.chance[metric]}
        rows.append({**values, "difference": compared.pop("value"), **compared})
    return {
        "label": first.protocol,
        "tie_rule": first.tie_rule,
        "num_targets": first.num_targets,
        "num_candidates": first.num_candidates,
        "rows": rows,
    }
