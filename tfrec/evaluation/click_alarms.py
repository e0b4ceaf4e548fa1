"""What a reader must know before any number of a click model: few clicks, no better than chance, off in the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.alarms import Alarm

FEWEST_CLICKS = 50
"""Clicks, and other rows, below which a measurement says little."""
MAX_MEAN_RATIO = 1.25
"""Factor between mean prediction and click rate from which on a reader is told."""
_CHANCE = 0.5


def find_click_alarms(document: Mapping[str, Any], *, trained: bool = True) -> list[Alarm]:
    """Returns the alarms on the measurement of a click model.

    `few_clicks`: the split has fewer than 50 clicks (or fewer than 50 other rows), so that a few rows make the numbers.
    `clicks_at_chance`: the AUC, or the lower end of its interval where there is one, is at most 0.5, the AUC of any
    constant.

    Args:
        document: `model`, `split`, `rows`, `clicks` and `metrics` of `click_evaluation`.
        trained: False for the click rate, which is at chance by design.

    Returns:
        Dicts of name, model, message, value and limit.

    Example:
        >>> metrics = {"auc": 0.6, "auc_low": 0.48, "auc_high": 0.7}
        >>> document = {"model": "dnn", "split": "test", "rows": 900, "clicks": 12, "metrics": metrics}
        >>> [alarm["name"] for alarm in find_click_alarms(document)]
        ['few_clicks', 'clicks_at_chance']
    """
    name, rows, clicks, metrics = (document[key] for key in ("model", "rows", "clicks", "metrics"))
    alarms: list[Alarm] = []

    def add(kind: str, message: str, value: float, limit: float) -> None:
        alarms.append({"name": kind, "model": name, "message": message, "value": value, "limit": limit})

    fewer, what = min((clicks, "clicks"), (rows - clicks, "rows without a click"))
    if fewer < FEWEST_CLICKS:
        text = f"The split `{document['split']}` has {fewer:,} {what} in {rows:,} rows, fewer than {FEWEST_CLICKS}: "
        add("few_clicks", f"{text}a few rows make the numbers. Measure more rows.", fewer, FEWEST_CLICKS)
    value = metrics["auc"]
    low = metrics.get("auc_low", value)
    low = value if math.isnan(low) else low
    if trained and low <= _CHANCE:
        interval = f", interval from {low:.4f}" if low != value else ""
        text = f"`{name}` cannot be told from the click rate alone: AUC {value:.4f}{interval}, chance {_CHANCE:.4f}."
        add("clicks_at_chance", text, low, _CHANCE)
    return alarms


def undefined_caution(document: Mapping[str, Any]) -> str | None:
    """Returns which metrics are not numbers on the split, and why, or None.

    Args:
        document: As of `find_click_alarms`.

    Example:
        >>> metrics = {"auc": math.nan, "logloss": 0.1}
        >>> undefined_caution({"split": "test", "rows": 9, "clicks": 0, "metrics": metrics})
        'The split `test` has no clicks in 9 rows: there is no auc (null in the files).'
    """
    missing = [name for name, value in document["metrics"].items() if not math.isfinite(value)]
    if not missing:
        return None
    rows, clicks = document["rows"], document["clicks"]
    why = "no clicks" if not clicks else "nothing but clicks" if clicks == rows else "no group with both classes"
    where = f"The split `{document['split']}` has {why} in {rows:,} rows"
    return f"{where}: there is no {', '.join(missing)} (null in the files)."


def mean_caution(document: Mapping[str, Any], *, weight_of_clicks: float = 1.0) -> str | None:
    """Returns what to say where mean prediction and click rate differ by a factor of 1.25 or more, or None.

    Args:
        document: As of `find_click_alarms`.
        weight_of_clicks: Weight of clicks in the loss, which moves predictions on purpose.
    """
    metrics, rows = document["metrics"], document["rows"]
    mean, rate = metrics["mean_prediction"], metrics["click_rate"]
    if not 0.0 < rate < 1.0 or 1.0 / MAX_MEAN_RATIO < mean / rate < MAX_MEAN_RATIO:
        return None
    error = math.sqrt(rate * (1.0 - rate) / rows)
    text = f"The mean prediction is {mean:.4f}, the click rate {rate:.4f} (standard error {error:.4f}): "
    if weight_of_clicks != 1.0:
        reason = "the weight of clicks in the loss (`objective.positive_weight`) moves predictions."
        return f"{text}{reason} Read them as an order, not as probabilities."
    return f"{text}read predictions as an order, not as probabilities."
