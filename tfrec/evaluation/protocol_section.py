"""All that was measured by one protocol, as the JSON that files and reports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.bootstrap import percentile_interval, resampled_means
from tfrec.evaluation.popularity_bias import popularity_bias
from tfrec.evaluation.rank_histogram import rank_histogram
from tfrec.evaluation.ranked_targets import RankedTargets
from tfrec.evaluation.ranking_metrics import chance_metrics, ranking_metrics
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.slices import Slicing, target_slices
from tfrec.evaluation.tie_rules import TIE_RULES

Gains = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class SectionSettings:
    """What a section holds beyond the metrics.

    Args:
        cutoffs: Cut-offs.
        bootstrap: Resamples of the intervals; 0 samples: none.
        item_counts: Number of training events by item index, `[vocab]`; None: no slices and lists.
        cold_events: Items with fewer training events are cold.
    """

    cutoffs: Sequence[int]
    bootstrap: BootstrapConfig
    item_counts: NDArray[np.int64] | None = None
    cold_events: int = 5


def protocol_section(
    name: str, results: Mapping[str, RankingResult], roles: Mapping[str, str], settings: SectionSettings
) -> dict[str, Any]:
    """Analyses the results of one protocol.

    Args:
        name: `full`, `subset` or `sampled`.
        results: Results with their targets, by model; all of the same targets.
        roles: `baseline`, `model` (exactly one) or `optimum`, by model.
        settings: What to analyse.

    Returns:
        Label, description, counts and chance level of the protocol, and one section per model: metrics, intervals,
        paired differences (the run's model minus the other one), ties, rank histogram, slices, popularity bias,
        similarities and spread of the scores.

    Raises:
        ConfigError: The results are of different targets, or hold none.
    """
    own = next(model for model, role in roles.items() if role == "model")
    first = results[own]
    targets = {model: _targets(model, result) for model, result in results.items()}
    for model, others in targets.items():
        if not targets[own].same_targets(others):
            raise ConfigError(
                f"`{own}` and `{model}` were measured on different targets: they cannot be compared.",
                remedy="Evaluate both on the same split by the same protocol.",
            )
    slicings = []
    if settings.item_counts is not None:
        slicings = target_slices(targets[own], settings.item_counts, settings.cold_events)
    estimates: dict[str, Gains] = {}
    if settings.bootstrap.samples:
        for model, result in results.items():
            parts = slicings if model == own else []
            gains = _slice_gains(result, parts)
            estimates[model] = resampled_means(
                gains, targets[own].owner, samples=settings.bootstrap.samples, seed=settings.bootstrap.seed
            )
    return {
        "name": name,
        "label": first.protocol,
        "description": _description(name, first),
        "tie_rule": first.tie_rule,
        "cutoffs": list(settings.cutoffs),
        "num_candidates": first.num_candidates,
        "num_targets": first.num_targets,
        "num_sequences": first.num_sequences,
        "num_unknown_targets": first.num_unknown_targets,
        "chance": first.chance,
        "models": {
            model: {
                "role": roles[model],
                "metrics": result.metrics,
                "seconds": result.seconds,
                "intervals": _intervals(result.metrics, estimates.get(model), settings, prefix=""),
                "difference": _differences(first, result, estimates, own, model, settings),
                "ties": _ties(result, targets[model], settings.cutoffs),
                "rank_histogram": rank_histogram(
                    targets[model].ranks(result.tie_rule), targets[model].candidates, result.num_candidates
                ),
                "slices": [
                    _slicing_section(result, targets[model], slicing, estimates.get(model), settings)
                    for slicing in slicings
                ],
                "lists": popularity_bias(result.lists, result.num_candidates, settings.item_counts, targets[model])
                if result.lists is not None and settings.item_counts is not None and name == "full"
                else None,
                "similarity": result.similarity,
                "scores": result.scores,
            }
            for model, result in results.items()
        },
    }


def _targets(model: str, result: RankingResult) -> RankedTargets:
    if result.targets is None:
        raise ConfigError(f"The result of `{model}` has no targets.", remedy="Evaluate with `keep_ranks=True`.")
    return result.targets


def _description(name: str, result: RankingResult) -> str:
    if name == "sampled":
        text = f"Each target is ranked among {result.num_candidates:,} candidates: itself and sampled negatives."
        return f"{text} Such numbers are on another scale than those of full ranking and can order models differently."
    what = "items of the vocabulary" if name == "full" else "items of a given list"
    text = f"Each target is ranked among all {result.num_candidates:,} {what}"
    excluded = "; items seen earlier in the sequence are no candidates, but for the target"
    return f"{text}{excluded if 'history excluded' in result.protocol else ''}."


def _slice_gains(result: RankingResult, slicings: Sequence[Slicing]) -> Gains:
    """Gains of all targets, and with a prefix those of the slices (NaN outside); the hit rate is the recall."""
    gains = {name: values for name, values in result.gains().items() if not name.startswith("hit@")}
    everything = dict(gains)
    for slicing in slicings:
        for part in slicing.slices:
            for metric, values in gains.items():
                everything[_prefix(slicing, part.name) + metric] = np.where(part.mask, values, np.nan)
    return everything


def _prefix(slicing: Slicing, name: str) -> str:
    return f"{slicing.name}/{name}/"


def _intervals(
    metrics: Mapping[str, float], estimates: Gains | None, settings: SectionSettings, *, prefix: str
) -> dict[str, dict[str, float]]:
    intervals = {}
    for metric, value in metrics.items():
        found = (estimates or {}).get(prefix + metric.replace("hit@", "recall@"))
        if found is not None:
            interval = percentile_interval(metric, value, found, settings.bootstrap.confidence)
            intervals[metric] = {"low": interval.low, "high": interval.high}
    return intervals


def _differences(
    first: RankingResult,
    result: RankingResult,
    estimates: Mapping[str, Gains],
    own: str,
    model: str,
    settings: SectionSettings,
) -> dict[str, dict[str, float]]:
    if model == own or not estimates:
        return {}
    differences = {}
    for metric, value in result.metrics.items():
        key = metric.replace("hit@", "recall@")
        resampled = estimates[own][key] - estimates[model][key]  # [samples]
        interval = percentile_interval(metric, first.metrics[metric] - value, resampled, settings.bootstrap.confidence)
        differences[metric] = interval.comparison(lower_is_better=metric == "avg_rank")
    return differences


def _ties(result: RankingResult, targets: RankedTargets, cutoffs: Sequence[int]) -> dict[str, Any]:
    tied = targets.known & (targets.greater_equal > targets.greater + 1)  # [targets]
    return {
        "share_tied": float(tied.mean()),
        **{rule: ranking_metrics(targets.ranks(rule), cutoffs, miss_rank=result.miss_rank) for rule in TIE_RULES},
    }


def _slicing_section(
    result: RankingResult,
    targets: RankedTargets,
    slicing: Slicing,
    estimates: Gains | None,
    settings: SectionSettings,
) -> dict[str, Any]:
    ranks = targets.ranks(result.tie_rule)  # [targets]
    rows = []
    for part in slicing.slices:
        number = int(part.mask.sum())
        row: dict[str, Any] = {"name": part.name, "description": part.description, "n": number}
        row["share"] = number / max(1, len(targets))
        row["metrics"] = row["intervals"] = row["chance"] = {}
        if number:
            candidates = targets.candidates[part.mask]  # [slice]
            metrics = ranking_metrics(ranks[part.mask], settings.cutoffs, miss_rank=result.miss_rank)
            row["metrics"] = metrics
            row["intervals"] = _intervals(metrics, estimates, settings, prefix=_prefix(slicing, part.name))
            row["chance"] = chance_metrics(candidates, settings.cutoffs, miss_rank=result.miss_rank)
        rows.append(row)
    return {"name": slicing.name, "description": slicing.description, "rows": rows}
