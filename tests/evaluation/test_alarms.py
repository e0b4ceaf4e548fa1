from __future__ import annotations

from typing import Any

import pytest

from tfrec.evaluation.alarms import find_alarms, find_user_alarms, too_few_users

ALIVE = {"num_probed": 100, "share_constant": 0.0, "list_overlap": 0.3, "overlap_length": 10}


def section(**changes: Any) -> dict[str, Any]:
    healthy = {
        "metrics": {"recall@20": 0.3},
        "intervals": {"recall@20": {"low": 0.28, "high": 0.32}},
        "scores": ALIVE,
        "ties": {"share_tied": 0.01},
    }
    return {**healthy, **changes}


def protocol(difference_high: float = 0.1, chance: float = 0.05) -> dict[str, Any]:
    popularity = {"metrics": {"recall@20": 0.2}, "difference": {"recall@20": {"high": difference_high}}}
    return {
        "label": "full",
        "tie_rule": "conservative",
        "cutoffs": [20, 5],
        "chance": {"recall@20": chance},
        "models": {"popularity": popularity},
    }


def names(own: dict[str, Any], measured: dict[str, Any], **settings: bool) -> list[str]:
    return [alarm["name"] for alarm in find_alarms("sasrec", own, measured, **settings)]


def test_a_healthy_model_raises_none() -> None:
    assert names(section(), protocol()) == []
    assert names(section(scores=None, intervals={}), protocol()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"scores": {**ALIVE, "share_constant": 0.51}}, "constant_scores"),
        ({"scores": {**ALIVE, "list_overlap": 0.91}}, "same_list"),
        ({"ties": {"share_tied": 0.51}}, "tied_scores"),
        ({"intervals": {"recall@20": {"low": 0.05, "high": 0.4}}}, "at_chance"),
        ({"metrics": {"recall@20": 0.05}, "intervals": {}}, "at_chance"),
    ],
)
def test_each_trouble_has_its_alarm(changes: dict[str, Any], name: str) -> None:
    (alarm,) = find_alarms("sasrec", section(**changes), protocol())
    assert alarm["name"] == name
    assert (alarm["model"], alarm["protocol"]) == ("sasrec", "full")
    assert "`sasrec`" in alarm["message"]
    assert set(alarm) == {"name", "model", "protocol", "message", "value", "limit"}


def test_falling_behind_popularity_is_one_when_it_is_no_luck() -> None:
    assert names(section(), protocol(difference_high=-0.001)) == ["below_popularity"]
    assert names(section(), protocol(difference_high=0.001)) == []


def test_few_targets_a_single_one_and_counted_models_may_agree() -> None:
    same = {**ALIVE, "list_overlap": 1.0}
    assert names(section(scores={**same, "num_probed": 15}), protocol()) == []
    assert names(section(scores={**ALIVE, "list_overlap": None}), protocol()) == []
    assert names(section(scores=same), protocol(difference_high=-1.0), trained=False) == []
    assert names(section(scores=same), protocol(chance=0.3), trained=False) == ["at_chance"]


def test_a_cutoff_that_nobody_can_miss_says_nothing_about_chance() -> None:
    full = section(metrics={"recall@20": 1.0}, intervals={"recall@20": {"low": 1.0, "high": 1.0}})
    assert names(full, protocol(chance=1.0)) == []


def users(own: float, low: float, chance: float = 0.01, **high: float) -> dict[str, Any]:
    """A section of vectors of users; `high` ends the interval of the difference to each baseline, all at 0.5."""
    metric = "user_recall@10"
    baselines = {
        name: {
            "role": "baseline",
            "metrics": {metric: 0.5 + place / 100},
            "intervals": {},
            "difference": {metric: {"value": own - 0.5, "low": -0.9, "high": end}},
        }
        for place, (name, end) in enumerate(high.items())
    }
    model = {"role": "model", "metrics": {metric: own}, "intervals": {metric: {"low": low, "high": 1.0}}}
    return {"users": 500, "chance": {metric: chance}, "models": {"long": model, **baselines}}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (users(0.6, 0.5, mean_pooling=0.1), []),
        (users(0.3, 0.2, mean_pooling=0.1, item_counts=-0.1), ["below_user_baseline"]),
        (users(0.3, 0.2, mean_pooling=0.1), []),  # below, but the users cannot tell
        (users(0.3, 0.01, mean_pooling=-0.1), ["users_at_chance", "below_user_baseline"]),
        (users(0.3, 0.2), []),
        (users(1.0, 1.0, chance=1.0, mean_pooling=-0.1), []),
    ],
)
def test_alarms_on_vectors_of_users(section: dict[str, Any], expected: list[str]) -> None:
    found = find_user_alarms("long", section)
    assert [alarm["name"] for alarm in found] == expected
    if "below_user_baseline" in expected:
        best = list(section["models"])[-1]
        assert f"than `{best}`" in found[-1]["message"]
        assert found[-1]["limit"] == section["models"][best]["metrics"]["user_recall@10"]


def test_few_users_are_said_to_be_few() -> None:
    assert too_few_users(users(0.6, 0.5, chance=0.09)) is None
    assert "chance alone has user_recall@10 0.10" in str(too_few_users(users(0.6, 0.5, chance=0.1)))
