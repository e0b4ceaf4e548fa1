"""Exact metrics of click predictions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_TINY = 1e-15


def probabilities(logits: npt.ArrayLike) -> Floats:
    """Returns the probabilities of logits, in float64."""
    z = np.asarray(logits, np.float64)
    with np.errstate(over="ignore"):
        result: Floats = 1.0 / (1.0 + np.exp(-z))
    return result


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Area under the ROC curve, exact: share of pairs of a click and another row in the right order, ties one half.

    Args:
        labels: 0 or 1, `[rows]`.
        scores: Any increasing function of the probability, `[rows]`.
        weights: Of rows, `[rows]`. Default: 1.

    Returns:
        NaN where there is only one class.

    Example:
        >>> auc([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])  # 1 + 1 + 1/2 + 1 of 4 pairs
        0.875
    """
    y, s = np.asarray(labels, np.float64), np.asarray(scores)
    w = np.ones_like(y) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(s, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(s[order]) > 0]) if len(s) else np.zeros(0, np.int64)
    if not len(starts):
        return float("nan")
    clicks = np.add.reduceat((y * w)[order], starts)
    others = np.add.reduceat(((1.0 - y) * w)[order], starts)
    pairs = clicks.sum() * others.sum()
    below = np.cumsum(others) - others
    return float(np.sum(clicks * (below + 0.5 * others)) / pairs) if pairs else float("nan")


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Sum over thresholds of precision times gain of recall; rows with equal scores enter together; NaN without clicks.

    Example:
        >>> average_precision([1, 0, 1], [0.9, 0.8, 0.7])  # 1/2 * 1 + 1/2 * 2/3
        0.8333333333333333
    """
    y, s = np.asarray(labels, np.float64), np.asarray(scores)
    order = np.argsort(-s, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(s[order]) < 0, True]) if len(s) else np.zeros(0, np.int64)
    if not len(ends) or not y.sum():
        return float("nan")
    hits = np.cumsum(y[order])[ends]
    precision = hits / (ends + 1.0)
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / y.sum())


def log_loss(
    labels: npt.ArrayLike, p: npt.ArrayLike, *, weights: npt.ArrayLike | None = None, clip: float = 1e-7
) -> float:
    """Mean negative log-likelihood of probabilities clipped to `[clip, 1 - clip]`."""
    y, q = np.asarray(labels, np.float64), np.clip(np.asarray(p, np.float64), clip, 1.0 - clip)
    losses = -(y * np.log(q) + (1.0 - y) * np.log1p(-q))
    return float(np.average(losses, weights=weights)) if len(losses) else float("nan")


def weighted_log_loss(labels: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Log-loss in which clicks and other rows count half each; NaN where there is only one class.

    Reference: WLL of the Toss click competition.

    Example:
        >>> round(weighted_log_loss([1, 0, 0, 0], [0.7, 0.2, 0.4, 0.1]), 8)
        0.31822575
    """
    y = np.asarray(labels, np.float64)
    rate = y.mean() if len(y) else 0.0
    if rate in (0.0, 1.0):
        return float("nan")
    return log_loss(y, p, weights=np.where(y == 1.0, 0.5 / rate, 0.5 / (1.0 - rate)), clip=_TINY)


def competition_score(labels: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """`0.5 AP + 0.5 / (1 + WLL)`, the score of the Toss click competition.

    Example:
        >>> round(competition_score([1, 0, 0, 0], [0.7, 0.2, 0.4, 0.1]), 8)
        0.8792977
    """
    return 0.5 * average_precision(labels, p) + 0.5 / (1.0 + weighted_log_loss(labels, p))


def group_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Mean of the AUC of every group that has both classes, weighted by rows; NaN without such a group.

    Reference: DIN, arXiv 1706.06978, section 6.2.
    """
    y, s, g = np.asarray(labels), np.asarray(scores), np.asarray(groups)
    order = np.argsort(g, kind="stable")
    bounds = np.flatnonzero(np.r_[True, np.diff(g[order]) != 0, True]) if len(g) else np.zeros(1, np.int64)
    total = rows = 0.0
    for start, stop in itertools.pairwise(bounds.tolist()):
        part = order[start:stop]
        value = auc(y[part], s[part])
        if not np.isnan(value):
            total, rows = total + value * len(part), rows + len(part)
    return total / rows if rows else float("nan")


def calibration(labels: npt.ArrayLike, p: npt.ArrayLike, bins: int) -> tuple[list[dict[str, float]], float]:
    """Mean prediction and click rate in bins with equal numbers of rows, and the mean absolute difference of the two.

    Returns:
        One dict per bin (`predicted`, `observed`, `rows`), and the expected calibration error.
    """
    y, q = np.asarray(labels, np.float64), np.asarray(p, np.float64)
    order = np.argsort(q, kind="stable")
    curve = [
        {"predicted": float(q[part].mean()), "observed": float(y[part].mean()), "rows": float(len(part))}
        for part in np.array_split(order, min(bins, max(len(y), 1)))
        if len(part)
    ]
    error = sum(point["rows"] * abs(point["predicted"] - point["observed"]) for point in curve)
    return curve, error / max(len(y), 1)


def balanced_shift(click_rate: float, positive_weight: float = 1.0) -> float:
    """What is added to logits so that a model predicts as if there were as many clicks as other rows.

    Args:
        click_rate: Share of clicks in the training rows.
        positive_weight: Weight of clicks in the loss: it has moved the logits by its logarithm already.

    Example:
        >>> round(balanced_shift(0.0185), 3), round(balanced_shift(0.2, 4.0), 3)
        (3.971, 0.0)
    """
    if not 0.0 < click_rate < 1.0:
        return 0.0
    return float(np.log1p(-click_rate) - np.log(click_rate) - np.log(positive_weight))


def click_metrics(labels: npt.ArrayLike, logits: npt.ArrayLike, *, shift: float = 0.0) -> dict[str, float]:
    """All metrics of one model on one set of rows.

    Args:
        labels: 0 or 1, `[rows]`.
        logits: `[rows]`.
        shift: Added to logits for `score_balanced` and `wll_balanced` (`balanced_shift` of the training rows).

    Returns:
        `auc`, `logloss`, `ap`, `wll`, `score`, `wll_balanced`, `score_balanced`, `click_rate`, `mean_prediction`.
    """
    y, z = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    p, moved = probabilities(z), probabilities(z + shift)
    return {
        "auc": auc(y, z),
        "logloss": log_loss(y, p),
        "ap": average_precision(y, z),
        "wll": weighted_log_loss(y, p),
        "score": 0.5 * average_precision(y, z) + 0.5 / (1.0 + weighted_log_loss(y, p)),
        "wll_balanced": weighted_log_loss(y, moved),
        "score_balanced": 0.5 * average_precision(y, z) + 0.5 / (1.0 + weighted_log_loss(y, moved)),
        "click_rate": float(y.mean()) if len(y) else float("nan"),
        "mean_prediction": float(p.mean()) if len(y) else float("nan"),
    }


def auc_interval(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, samples: int, confidence: float, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the AUC: rows are drawn with replacement (Poisson weights), scores are sorted once.

    Returns:
        Lower and upper end of the percentile interval, of the resamples that have both classes; NaN without any.
    """
    y, s = np.asarray(labels, np.float64), np.asarray(scores)
    order = np.argsort(s, kind="stable")
    y, s = y[order], s[order]
    starts = np.flatnonzero(np.r_[True, np.diff(s) > 0])
    rng = np.random.default_rng(seed)
    values = np.empty(samples)
    for sample in range(samples):
        weights = rng.poisson(1.0, len(y)).astype(np.float64)
        clicks, others = np.add.reduceat(weights * y, starts), np.add.reduceat(weights * (1.0 - y), starts)
        below = np.cumsum(others) - others
        pairs = clicks.sum() * others.sum()
        values[sample] = np.sum(clicks * (below + 0.5 * others)) / pairs if pairs else np.nan
    drawn = values[~np.isnan(values)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(low), float(high)


def click_slices(
    labels: npt.ArrayLike, logits: npt.ArrayLike, groups: npt.NDArray[Any], names: dict[int, str], *, most: int = 50
) -> list[dict[str, Any]]:
    """Metrics by the value of a feature: `value`, `rows`, `clicks`, `auc`, `logloss`, `mean_prediction`.

    Args:
        labels: `[rows]`.
        logits: `[rows]`.
        groups: Index of the value, int `[rows]`.
        names: Raw value by index.
        most: Values that are measured; of more, those with most rows.
    """
    y, z = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    found = []
    values, rows = np.unique(groups, return_counts=True)
    for group in np.sort(values[np.argsort(-rows, kind="stable")[:most]]).tolist():
        part = groups == group
        p = probabilities(z[part])
        found.append(
            {
                "value": names.get(int(group), "unknown"),
                "rows": int(part.sum()),
                "clicks": int(y[part].sum()),
                "auc": auc(y[part], z[part]),
                "logloss": log_loss(y[part], p),
                "mean_prediction": float(p.mean()),
            }
        )
    return found
