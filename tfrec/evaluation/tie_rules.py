"""Ranks of targets among their candidates, with the rule for equal scores stated."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError, did_you_mean

TieRule = Literal["standard", "conservative", "median"]
TIE_RULES: tuple[TieRule, ...] = ("standard", "conservative", "median")


def check_tie_rule(tie_rule: str) -> None:
    """Raises a ConfigError unless `tie_rule` is one of `TIE_RULES`."""
    if tie_rule not in TIE_RULES:
        raise ConfigError(f"Unknown tie rule `{tie_rule}`.", remedy=did_you_mean(tie_rule, TIE_RULES))


def ranks_from_counts(
    greater: NDArray[np.integer[Any]], greater_equal: NDArray[np.integer[Any]], tie_rule: TieRule
) -> NDArray[np.float64]:
    """Turns counts of better and equally good candidates into ranks; rank 1 is the best.

    `standard` puts the target before its ties (optimistic: a model that gives every item the same score gets rank 1
    everywhere), `conservative` behind them (never flatters; the rule of every published number), `median` in the
    middle of them, which can be a half rank and is used as it is.

    Args:
        greater: Number of candidates with a higher score than the target. `[targets]`.
        greater_equal: Number of candidates with a score at least as high, the target itself included. `[targets]`.
        tie_rule: `standard`, `conservative` or `median`.

    Returns:
        Ranks, `[targets]`.

    Raises:
        ConfigError: Unknown tie rule.

    Example:
        Scores (.3, .5, .5, .5, .1) with the second item as the target: nothing is greater, three are equal.

        >>> [float(ranks_from_counts(np.array([0]), np.array([3]), rule)[0]) for rule in TIE_RULES]
        [1.0, 3.0, 2.0]

    Reference:
        Hidasi and Czapp, "The effect of third party implementations on reproducibility", RecSys 2023 (tie-breaking).
    """
    check_tie_rule(tie_rule)
    if tie_rule == "standard":
        return greater.astype(np.float64) + 1.0
    if tie_rule == "conservative":
        return greater_equal.astype(np.float64)
    return (greater.astype(np.float64) + greater_equal.astype(np.float64) + 1.0) / 2.0
