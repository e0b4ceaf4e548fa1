from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.ranked import make_targets
from tfrec.evaluation.popularity_bias import list_metrics, popularity_bias
from tfrec.evaluation.top_lists import TopLists

# Items 2..5 with 6, 2, 1, 1 training events: 2 is the head, 3 the middle (2/3 of 10 are reached), 4 and 5 the tail.
COUNTS = np.array([0, 0, 6, 2, 1, 1])
LISTS = TopLists(4, {1: np.array([0, 0, 4, 0, 0, 0]), 2: np.array([0, 0, 4, 3, 1, 0])})


def test_shares_and_means_by_hand() -> None:
    targets = make_targets([1.0] * 5, item=[2, 2, 3, 5, 1])
    found = popularity_bias(LISTS, 4, COUNTS, targets)
    assert found["length"] == 2
    assert found["num_lists"] == 4
    assert found["shares"] == {
        "buckets": ["head", "mid", "tail"],
        "items": [1 / 4, 1 / 4, 2 / 4],
        "events": [6 / 10, 2 / 10, 2 / 10],
        "targets": [2 / 4, 1 / 4, 1 / 4],  # the unknown target is in no bucket
        "recommended": [4 / 8, 3 / 8, 1 / 8],
        "cutoff": 2,
    }
    assert found["target_popularity"] == (6 + 6 + 2 + 1 + 0) / 5
    assert found["catalogue_popularity"] == 10 / 4
    assert found["popularity@2"] == (4 * 6 + 3 * 2 + 1) / 8


def test_lorenz_curves_rise_from_the_least_recommended_item() -> None:
    curve = popularity_bias(LISTS, 4, COUNTS, make_targets([1.0]))["curve"]
    at = {round(share, 2): place for place, share in enumerate(curve["item_share"])}
    # Recommended 0 1 3 4 of 8; training events 1 1 2 6 of 10; between the items the curve is straight.
    expected = {
        0.0: (0.0, 0.0),
        0.5: (1 / 8, 2 / 10),
        0.62: (1 / 8 + 0.48 * 3 / 8, 2 / 10 + 0.48 * 2 / 10),
        1.0: (1.0, 1.0),
    }
    for share, (recommended, training) in expected.items():
        assert curve["recommended"][at[share]] == pytest.approx(recommended)
        assert curve["training"][at[share]] == pytest.approx(training)


def test_metrics_have_one_value_per_cutoff() -> None:
    found = list_metrics(LISTS, 4, COUNTS)
    assert found["coverage@1"] == 1 / 4
    assert found["coverage@2"] == 3 / 4
    assert found["overlap@1"] == 1.0
    # Pairs that share item 2: 6 of 6, item 3: 3 of 6; over two places.
    assert found["overlap@2"] == pytest.approx((6 + 3) / (6 * 2))
    # Ascending 0 1 3 4 with weights -3 -1 1 3.
    assert found["gini@2"] == pytest.approx((-1 + 3 + 12) / (4 * 8))
