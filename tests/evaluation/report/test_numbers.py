from __future__ import annotations

import math

import pytest

from tfrec.evaluation.report.numbers import (
    UNKNOWN,
    count_text,
    difference_text,
    interval_text,
    known,
    metric_text,
    probability_text,
    seconds_text,
    share_text,
    time_text,
)

SPACE = "\N{NO-BREAK SPACE}"


def test_known_means_a_finite_number() -> None:
    assert [known(value) for value in (0, 1.5, None, True, "1", math.nan, math.inf)] == [True, True] + [False] * 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (metric_text("hit@10", 0.08734), "0.0873"),
        (metric_text("avg_rank", 1234.56), "1,234.6"),
        (metric_text("hit@10", None), UNKNOWN),
        (difference_text("hit@10", -0.01), "-0.0100"),
        (difference_text("avg_rank", 3.0), "+3.0"),
        (interval_text("hit@10", {"low": 0.1, "high": 0.2}), f"0.1000{UNKNOWN}0.2000"),
        (interval_text("hit@10", {"low": -0.1, "high": 0.2}, signed=True), "-0.1000 to +0.2000"),
        (interval_text("hit@10", {"low": None, "high": 0.2}), ""),
        (interval_text("hit@10", None), ""),
        (count_text(12101), "12,101"),
        (count_text(12.25), "12.2"),
        (count_text(12345.6), "12,346"),
        (share_text(0.408), f"40.8{SPACE}%"),
        (share_text(0.0), f"0.0{SPACE}%"),
        (share_text(0.0004), f"< 0.1{SPACE}%"),
        (probability_text(0.0), "p < 0.001"),
        (probability_text(0.0421), "p = 0.042"),
        (probability_text(None), ""),
        (seconds_text(1.47), "1.5 s"),
        (seconds_text(59.96), "1 min 00 s"),
        (seconds_text(725.0), "12 min 05 s"),
        (seconds_text(7384.0), "2 h 03 min"),
        (time_text(1_000 * 86_400 * 365), "1971-01-01 00:00"),
        (time_text(10**17), "100,000,000,000,000,000"),
        (time_text(None), UNKNOWN),
    ],
)
def test_numbers_are_written(text: str, expected: str) -> None:
    assert text == expected
