"""One table for a model, its baselines, the optimum and chance, all measured by one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.tables import make_table

CHANCE = "chance"


def comparison_rows(results: Mapping[str, RankingResult], metrics: Sequence[str]) -> list[list[object]]:
    """Returns one row per result, in the given order, and the chance level as the last one.

    Args:
        results: Results by the name shown in the first column.
        metrics: Metrics shown, for example `recall@20`.

    Returns:
        Rows of a name and one number per metric.

    Raises:
        ConfigError: There is no result, a metric was not measured, or two results differ in targets, candidates, tie
            rule or protocol, so that a comparison would mean nothing.
    """
    if not results:
        raise ConfigError("There is no result to compare.")
    (first_name, first), *others = results.items()
    for name, result in others:
        for field in ("num_targets", "num_candidates", "tie_rule", "protocol"):
            ours, theirs = getattr(first, field), getattr(result, field)
            if ours != theirs:
                raise ConfigError(
                    f"`{first_name}` has {field} `{ours}`, `{name}` has `{theirs}`: they cannot be compared.",
                    remedy="Evaluate both on the same split by the same protocol.",
                )
    for name, result in results.items():
        missing = [metric for metric in metrics if metric not in result.metrics]
        if missing:
            raise ConfigError(f"`{name}` has no `{missing[0]}`.", remedy=f"Measured: {', '.join(result.metrics)}.")
    rows: list[list[object]] = [
        [name, *(result.metrics[metric] for metric in metrics)] for name, result in results.items()
    ]
    return [*rows, [CHANCE, *(first.chance[metric] for metric in metrics)]]


def comparison_table(results: Mapping[str, RankingResult], metrics: Sequence[str], *, split: str = "test") -> Table:
    """Renders `comparison_rows` with the protocol in the title.

    Args:
        results: Results by name.
        metrics: Metrics shown.
        split: Name of the split, for the title. Default: `test`.

    Returns:
        A rich table.

    Raises:
        ConfigError: As `comparison_rows`.
    """
    rows = comparison_rows(results, metrics)
    first = next(iter(results.values()))
    title = (
        f"{first.num_targets:,} targets of `{split}`, each ranked among {first.num_candidates:,} items "
        f"(ranking: {first.protocol}; ties: {first.tie_rule})"
    )
    return make_table(title, ["model", *(metric.replace("@", "\n@") for metric in metrics)], rows)
