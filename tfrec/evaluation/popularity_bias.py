"""How evenly a model recommends the catalogue, and how much it leans to what is popular anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.ranked_targets import RankedTargets
from tfrec.evaluation.slices import POPULARITY_BUCKETS, popularity_buckets
from tfrec.evaluation.top_lists import TopLists

_CURVE_POINTS = 51
_SHARES_CUTOFF = 10


def list_metrics(lists: TopLists, num_candidates: int, item_counts: NDArray[np.int64]) -> dict[str, float | None]:
    """Returns `coverage@k`, `gini@k`, `popularity@k` and `overlap@k` for every cut-off.

    Args:
        lists: How often each item was recommended.
        num_candidates: Number of items that could be.
        item_counts: Number of training events by item index, `[vocab]`.
    """
    found: dict[str, float | None] = {}
    for cutoff in lists.counts:
        found[f"coverage@{cutoff}"] = lists.coverage(cutoff, num_candidates)
        found[f"gini@{cutoff}"] = lists.gini(cutoff, num_candidates)
        found[f"popularity@{cutoff}"] = lists.popularity(cutoff, item_counts)
        found[f"overlap@{cutoff}"] = lists.overlap(cutoff)
    return found


def popularity_bias(
    lists: TopLists, num_candidates: int, item_counts: NDArray[np.int64], targets: RankedTargets
) -> dict[str, Any]:
    """Sets the recommendations beside the targets, the training events and the catalogue.

    Args:
        lists: How often each item was recommended.
        num_candidates: Number of items that could be.
        item_counts: Number of training events by item index, `[vocab]`.
        targets: The targets of the same evaluation.

    Returns:
        `list_metrics`; mean training events of the targets and of the catalogue; the share of head, middle and tail
        (see `popularity_buckets`) in the catalogue, the training events, the targets and the recommendations; Lorenz
        curves of recommendations and training events.
    """
    cutoff = max((length for length in lists.counts if length <= _SHARES_CUTOFF), default=min(lists.counts))
    buckets = popularity_buckets(item_counts)  # [vocab]
    chosen = lists.counts[cutoff]
    weights = {
        "items": (item_counts > 0).astype(np.int64),
        "events": item_counts,
        "targets": np.bincount(targets.item, minlength=item_counts.size),
        "recommended": chosen,
    }
    return {
        "length": max(lists.counts),
        "num_lists": lists.num_lists,
        **list_metrics(lists, num_candidates, item_counts),
        "target_popularity": float(item_counts[targets.item].mean()),
        "catalogue_popularity": float(item_counts[2:].mean()),
        "shares": {
            "buckets": list(POPULARITY_BUCKETS),
            **{name: _bucket_shares(buckets, values) for name, values in weights.items()},
            "cutoff": cutoff,
        },
        "curve": {
            "item_share": np.linspace(0.0, 1.0, _CURVE_POINTS).tolist(),
            "recommended": _lorenz_curve(np.sort(chosen)[-num_candidates:]),
            "training": _lorenz_curve(np.sort(item_counts)[-num_candidates:]),
        },
    }


def _bucket_shares(buckets: NDArray[np.int64], weights: NDArray[np.int64]) -> list[float]:
    total = max(1, int(weights[buckets >= 0].sum()))
    return [float(weights[buckets == number].sum() / total) for number in range(len(POPULARITY_BUCKETS))]


def _lorenz_curve(ascending: NDArray[np.int64]) -> list[float]:
    """Share of the sum that the smallest x of the values hold, for x from 0 to 1."""
    reached = np.concatenate([[0.0], np.cumsum(ascending, dtype=np.float64)]) / max(1, int(ascending.sum()))
    places = np.linspace(0.0, 1.0, _CURVE_POINTS) * ascending.size
    curve: list[float] = np.interp(places, np.arange(reached.size), reached).tolist()
    return curve
