"""What diversity, novelty and calibration cost in accuracy, from weak to strong re-ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.config.rerank_config import RerankConfig
from tfrec.evaluation.bootstrap import percentile_interval, resampled_means
from tfrec.evaluation.candidate_lists import CandidateLists, candidate_lists
from tfrec.evaluation.item_likeness import ItemLikeness
from tfrec.evaluation.ranking_metrics import metric_gains
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.reranking.calibration import calibrated_lists
from tfrec.reranking.list_measures import intra_list_diversity, list_divergence, mean_novelty, ranks_in_lists
from tfrec.reranking.mmr import mmr_lists
from tfrec.reranking.novelty import item_novelty, novelty_lists

GOALS = {"mmr": "diversity", "novelty": "novelty", "calibration": "divergence"}
"""The measure that a method is about."""

_CHUNK_BYTES = 64 * 2**20
_ACCURACIES = ("hit", "ndcg", "mrr")
_Key = tuple[str, float]
Values = NDArray[np.float64]


def trade_off(
    scorer: Scorer,
    batches: Iterable[Batch],
    likeness: ItemLikeness,
    settings: RerankConfig,
    bootstrap: BootstrapConfig,
    *,
    item_counts: NDArray[np.int64],
    num_targets: int,
    exclude_history: bool = False,
) -> dict[str, Any]:
    """Orders the best candidates of a model anew, by every method and strength, and measures all lists.

    Args:
        scorer: The model.
        batches: Batches of `sequence_dataset` for one split.
        likeness: What is known of items.
        settings: Methods and strengths.
        bootstrap: Resamples for the differences to the lists as they were.
        item_counts: Training events by item index, `[vocab]`.
        num_targets: Targets in `batches`.
        exclude_history: Items seen earlier in the sequence are no candidates.

    Returns:
        `lists`, `candidates`, `length`, `likeness`, `category`, `exclude_history`, `confidence` of the intervals,
        `goals` (the measure that each method is about), and `points`: one per method and strength, the
        lists as they were first (method None, strength 0), with accuracy (`hit`, `ndcg`, `mrr`: the target in the
        list), `diversity`, `novelty` (bits), `coverage` and `divergence` (nats), each with `@length`, and `difference`
        of the accuracies to the first point with interval.
    """
    count = min(settings.candidates, scorer.vocab_size - 2)
    length = min(settings.length, count)
    keys: list[_Key] = [("", 0.0), *((method, value) for method in settings.methods for value in settings.strengths)]
    novelty = item_novelty(item_counts)
    parts: dict[_Key, list[dict[str, Values]]] = {key: [] for key in keys}
    shown = {key: np.zeros(scorer.vocab_size, np.bool_) for key in keys}
    owners = []
    chosen = _draw(num_targets, settings)
    for lists in candidate_lists(scorer, batches, count, exclude_history=exclude_history, chosen=chosen):
        for part in _parts(lists, count, likeness):
            owners.append(part.owner)
            wanted = None if likeness.categories is None else _wanted(part, likeness.categories)
            for key, items in _ordered(part, likeness, novelty, wanted, keys, length):
                parts[key].append(_measures(items, part, likeness, novelty, wanted))
                shown[key][items[items >= 0]] = True
    _, owner = np.unique(np.concatenate(owners), return_inverse=True)
    values = {
        key: {name: np.concatenate([one[name] for one in made]) for name in made[0]} for key, made in parts.items()
    }
    points = _points(values, owner, bootstrap, length)
    for point, key in zip(points, keys, strict=True):
        point[f"coverage@{length}"] = float(shown[key].sum() / (scorer.vocab_size - 2))
    return {
        "lists": int(owner.size),
        "candidates": count,
        "length": length,
        "likeness": likeness.vectors_of,
        "category": likeness.category,
        "exclude_history": exclude_history,
        "confidence": bootstrap.confidence,
        "goals": {method: f"{GOALS[method]}@{length}" for method in settings.methods},
        "points": points,
    }


def _points(
    values: dict[_Key, dict[str, Values]], owner: NDArray[np.int64], bootstrap: BootstrapConfig, length: int
) -> list[dict[str, Any]]:
    """Averages of all measures by method and strength, the lists as they were first."""
    first: dict[str, Values] = {}
    estimates: dict[str, Values] = {}  # of the lists as they were
    points = []
    for (method, strength), found in values.items():
        gains = {f"{name}@{length}": metric_gains(f"{name}@{length}", found["rank"]) for name in _ACCURACIES}
        point: dict[str, Any] = {"method": method or None, "strength": strength}
        point |= {name: float(gain.mean()) for name, gain in gains.items()}
        point |= {f"{name}@{length}": _mean(found[name]) for name in found if name != "rank"}
        resampled = {}
        if bootstrap.samples:
            resampled = resampled_means(gains, owner, samples=bootstrap.samples, seed=bootstrap.seed)
        first, estimates = first or gains, estimates or resampled
        point["difference"] = {}
        for name in resampled if method else ():
            change = float((gains[name] - first[name]).mean())
            interval = percentile_interval(name, change, resampled[name] - estimates[name], bootstrap.confidence)
            point["difference"][name] = interval.comparison()
        points.append(point)
    return points


def _draw(num_targets: int, settings: RerankConfig) -> NDArray[np.bool_] | None:
    if num_targets <= settings.max_lists:
        return None
    chosen = np.zeros(num_targets, np.bool_)
    chosen[np.random.default_rng(settings.seed).choice(num_targets, settings.max_lists, replace=False)] = True
    return chosen


def _parts(lists: CandidateLists, count: int, likeness: ItemLikeness) -> Iterable[CandidateLists]:
    """Cuts lists so that no matrix of candidates, or of candidates and categories, gets large."""
    width = max(
        count,
        0 if likeness.categories is None else likeness.categories.shape[1],
        0 if likeness.vectors is None else likeness.vectors.shape[1],
    )
    rows = max(1, _CHUNK_BYTES // (8 * count * width))
    for start in range(0, len(lists.items), rows):
        cut = slice(start, start + rows)
        yield CandidateLists(
            lists.items[cut], lists.scores[cut], lists.target[cut], lists.owner[cut], lists.history[cut]
        )


def _ordered(
    lists: CandidateLists,
    likeness: ItemLikeness,
    novelty: Values,
    wanted: Values | None,
    keys: list[_Key],
    length: int,
) -> Iterable[tuple[_Key, NDArray[np.int32]]]:
    """Yields the items of the new lists for every method and strength, -1 where a list ends early."""
    valid = lists.items >= 0
    inside = np.maximum(lists.items, 0)
    methods = {method for method, _ in keys}
    orders: dict[str, Callable[[float], NDArray[np.int32]]] = {}
    if "mmr" in methods and likeness.vectors is not None:
        vectors = likeness.vectors[inside]  # [lists, candidates, dim]
        similarity = np.matmul(vectors, vectors.transpose(0, 2, 1)).astype(np.float64)
        orders["mmr"] = lambda s: mmr_lists(lists.scores, valid, similarity, length=length, strength=s)
    if "novelty" in methods:
        orders["novelty"] = lambda s: novelty_lists(lists.scores, valid, novelty[inside], length=length, strength=s)
    if "calibration" in methods and likeness.categories is not None and wanted is not None:
        shares, asked = likeness.categories[inside], wanted
        orders["calibration"] = lambda s: calibrated_lists(
            lists.scores, valid, shares, asked, length=length, strength=s
        )
    for method, strength in keys:
        if not method:
            yield (method, strength), lists.items[:, :length]
            continue
        places = orders[method](strength)  # [lists, length]
        found = np.take_along_axis(lists.items, np.maximum(places, 0), axis=1)
        yield (method, strength), np.where(places >= 0, found, -1).astype(np.int32)


def _wanted(lists: CandidateLists, categories: Values) -> Values:
    """Mean shares of the categories in the histories; events of items without any do not count."""
    total = np.zeros((len(lists.history), categories.shape[1]))
    for start in range(0, lists.history.shape[1], 64):  # [lists, 64, categories] at a time
        total += categories[lists.history[:, start : start + 64]].sum(axis=1)
    return total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12)


def _measures(
    items: NDArray[np.int32], lists: CandidateLists, likeness: ItemLikeness, novelty: Values, wanted: Values | None
) -> dict[str, Values]:
    found = {"rank": ranks_in_lists(items, lists.target), "novelty": mean_novelty(items, novelty)}
    if likeness.vectors is not None:
        found["diversity"] = intra_list_diversity(items, likeness.vectors)
    if likeness.categories is not None and wanted is not None:
        found["divergence"] = list_divergence(items, likeness.categories, wanted)
    return found


def _mean(values: Values) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
