from __future__ import annotations

import numpy as np
import pytest

from tfrec.evaluation.rank_histogram import rank_histogram


def test_bins_counts_and_chance_by_hand() -> None:
    ranks = np.array([1.0, 2.0, 2.5, 5.0, 6.0, 12.0, np.inf])
    candidates = np.array([12, 12, 12, 12, 4, 12, 0])
    found = rank_histogram(ranks, candidates, 12)
    assert found["edges"] == [1, 2, 3, 6, 11, 13]
    assert found["counts"] == [1, 2, 1, 1, 1]
    assert found["unknown"] == 1
    # Five targets with 12 candidates, one with 4: rank 1 and 2 have 5/12 + 1/4 each, 3-5 has 15/12 + 2/4, 6-10 25/12,
    # 11-12 10/12.
    assert found["chance"] == pytest.approx([5 / 12 + 1 / 4, 5 / 12 + 1 / 4, 15 / 12 + 2 / 4, 25 / 12, 10 / 12])
    assert sum(found["chance"]) == pytest.approx(6)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 100, 101, 999])
def test_every_rank_has_a_bin(size: int) -> None:
    ranks = np.arange(1.0, size + 1)
    found = rank_histogram(ranks, np.full(size, size), size)
    assert found["edges"][0] == 1
    assert found["edges"][-1] == size + 1
    assert sum(found["counts"]) == size
    assert found["chance"] == pytest.approx(found["counts"])  # every rank once is what chance gives
    assert np.all(np.diff(found["edges"]) > 0)
