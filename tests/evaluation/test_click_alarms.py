"""What is said of a measurement of clicks that says little."""

from __future__ import annotations

from typing import Any

import pytest

from tfrec.evaluation.click_alarms import find_click_alarms, mean_caution, undefined_caution


def document(rows: int = 1000, clicks: int = 100, **metrics: float) -> dict[str, Any]:
    known = {"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8, "mean_prediction": 0.1, "click_rate": clicks / rows}
    return {"model": "dnn", "split": "test", "rows": rows, "clicks": clicks, "metrics": {**known, **metrics}}


def names(found: dict[str, Any], **options: bool) -> list[str]:
    return [alarm["name"] for alarm in find_click_alarms(found, **options)]


def test_alarms_go_off_at_their_limits() -> None:
    assert names(document(clicks=50)) == []
    assert names(document(clicks=49)) == ["few_clicks"]
    assert names(document(clicks=960)) == ["few_clicks"]  # of the other rows
    assert names(document(auc_low=0.501)) == []
    assert names(document(auc_low=0.5)) == ["clicks_at_chance"]
    assert names(document(auc_low=0.5), trained=False) == []
    assert names(document(clicks=0, auc=float("nan"), auc_low=float("nan"))) == ["few_clicks"]


def test_without_an_interval_the_auc_itself_counts() -> None:
    found = document(auc=0.45)
    del found["metrics"]["auc_low"], found["metrics"]["auc_high"]
    (alarm,) = find_click_alarms(found)
    assert (alarm["name"], alarm["value"]) == ("clicks_at_chance", 0.45)
    assert "interval" not in alarm["message"]


def test_messages_name_what_was_measured() -> None:
    few, chance = find_click_alarms(document(rows=150, clicks=2, auc=0.3851, auc_low=0.2))
    assert "split `test` has 2 clicks in 150 rows" in few["message"]
    assert "AUC 0.3851, interval from 0.2000" in chance["message"]


@pytest.mark.parametrize(
    ("mean", "said"), [(0.0105, True), (0.0185, False), (0.02, False), (0.0232, True), (0.0, True)]
)
def test_a_mean_that_is_off_is_said(mean: float, said: bool) -> None:
    assert (mean_caution(document(10_000, 185, mean_prediction=mean)) is not None) == said


@pytest.mark.parametrize(
    ("clicks", "missing", "said"),
    [
        (0, ["auc", "auc_low"], "no clicks in 1,000 rows: there is no auc, auc_low (null"),
        (1000, ["auc"], "nothing but clicks in 1,000 rows: there is no auc (null"),
        (100, ["gauc"], "no group with both classes in 1,000 rows: there is no gauc (null"),
        (100, [], None),
    ],
)
def test_metrics_that_do_not_exist_are_named_with_the_reason(clicks: int, missing: list[str], said: str | None) -> None:
    found = undefined_caution(document(clicks=clicks, **dict.fromkeys(missing, float("nan"))))
    assert found is None if said is None else f"The split `test` has {said}" in str(found)


def test_a_weight_in_the_loss_explains_the_mean() -> None:
    found = mean_caution(document(10_000, 185, mean_prediction=0.5), weight_of_clicks=53.0)
    assert found is not None
    assert "objective.positive_weight" in found
    assert "standard error 0.0013" in found  # sqrt(.0185 * .9815 / 10000) = 0.00135
