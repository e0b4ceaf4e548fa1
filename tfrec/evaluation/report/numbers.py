"""How numbers are written on the page; a value that is unknown is a dash."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

_DASH = "\N{EN DASH}"
_SPACE = "\N{NO-BREAK SPACE}"
UNKNOWN = _DASH
LOWER_IS_BETTER = frozenset({"avg_rank"})


def known(value: object) -> TypeGuard[float]:
    """Returns whether there is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def metric_text(metric: str, value: Any) -> str:
    """Writes a metric: ranks with one decimal, everything else with four."""
    if not known(value):
        return UNKNOWN
    return f"{value:,.1f}" if metric in LOWER_IS_BETTER else f"{value:.4f}"


def difference_text(metric: str, value: Any) -> str:
    """Writes a difference with its sign."""
    if not known(value):
        return UNKNOWN
    return f"{value:+,.1f}" if metric in LOWER_IS_BETTER else f"{value:+.4f}"


def interval_text(metric: str, interval: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    """Writes a bootstrap interval, or nothing when there is none."""
    if not interval or not (known(interval.get("low")) and known(interval.get("high"))):
        return ""
    if signed:
        return f"{difference_text(metric, interval['low'])} to {difference_text(metric, interval['high'])}"
    return f"{metric_text(metric, interval['low'])}{_DASH}{metric_text(metric, interval['high'])}"


def count_text(value: Any) -> str:
    """Writes a count with thousands separators; means of counts keep one decimal."""
    if not known(value):
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.1f}"


def share_text(value: Any) -> str:
    """Writes a share in percent; a share that is not zero never looks like zero."""
    if not known(value):
        return UNKNOWN
    percent = 100 * value
    return f"< 0.1{_SPACE}%" if 0 < percent < 0.1 else f"{percent:.1f}{_SPACE}%"


def probability_text(value: Any) -> str:
    """Writes a p-value."""
    if not known(value):
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def seconds_text(value: Any) -> str:
    """Writes a duration."""
    if not known(value):
        return UNKNOWN
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def time_text(milliseconds: Any) -> str:
    """Writes a time, given in milliseconds since the epoch, in UTC."""
    if not known(milliseconds):
        return UNKNOWN
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return count_text(milliseconds)
    return moment.strftime("%Y-%m-%d %H:%M")
