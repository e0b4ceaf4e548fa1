"""Finding a user's own short window: ranks by hand, ties, chance, baselines, and the probe."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import TfrecError
from tfrec.evaluation.interest_probe import probe_interests, probe_popular
from tfrec.evaluation.user_retrieval import retrieve_users

USERS = np.arange(4)


def angle(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_ranks_by_hand() -> None:
    """Short windows at 0, 10, 90 and 180 degrees; lengths of vectors do not matter."""
    found = retrieve_users(3.0 * angle(1, 2, 40, 100), 0.5 * angle(0, 10, 90, 180), USERS)
    # 2 degrees is nearer to 0 than to 10; 40 is 50 from 90 and nearer to 10 and 0; 100 is 80 from 180, 10 from 90.
    assert found.rank.tolist() == [1, 2, 3, 2]
    np.testing.assert_allclose(found.accuracy, [1, 2 / 3, 1 / 3, 2 / 3])
    metrics = found.metrics([1, 2])
    assert metrics["user_recall@1"] == 0.25
    assert metrics["user_recall@2"] == 0.75
    np.testing.assert_allclose(metrics["user_mrr"], (1 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    cosines = np.cos(np.deg2rad([[1, 9, 89, 179], [2, 8, 88, 178], [40, 30, 50, 140], [100, 90, 10, 80]]))
    own = np.diag(cosines)
    np.testing.assert_allclose(metrics["own_cosine"], own.mean(), atol=1e-6)
    others = (cosines.sum(axis=1) - own) / 3
    np.testing.assert_allclose(metrics["gap"], (own - others).mean(), atol=1e-6)
    losses = np.log1p(np.exp(cosines - own[:, np.newaxis]))
    np.testing.assert_allclose(found.bpr, (losses.sum(axis=1) - np.log(2)) / 3, atol=1e-6)
    assert found.histogram.sum(axis=1).tolist() == [4, 12]


def test_ties_count_against_the_model() -> None:
    """A collapsed model finds nobody, and separates no pair."""
    found = retrieve_users(np.ones((4, 3)), np.ones((4, 3)), USERS)
    assert found.rank.tolist() == [4] * 4
    assert found.metrics()["pairwise_accuracy"] == 0.0


def test_other_rows_of_the_same_user_do_not_compete() -> None:
    found = retrieve_users(angle(0, 0, 90), angle(10, 0, 90), np.array([7, 7, 8]))
    assert found.rank.tolist() == [1, 1, 1]
    assert found.candidates.tolist() == [2, 2, 3]


def test_chance_and_intervals() -> None:
    """Random vectors are at the chance level, within four standard errors, and the interval covers the value."""
    random = np.random.default_rng(0)
    found = retrieve_users(random.normal(size=(400, 8)), random.normal(size=(400, 8)), np.arange(400))
    chance, metrics = found.chance(), found.metrics()
    assert chance["user_recall@10"] == 10 / 400
    np.testing.assert_allclose(chance["user_mrr"], (1 / np.arange(1, 401)).sum() / 400)
    assert abs(metrics["user_recall@10"] - 0.025) < 4 * np.sqrt(0.025 * 0.975 / 400)
    assert abs(metrics["pairwise_accuracy"] - 0.5) < 4 * np.sqrt(1 / 12 / 400)
    bounds = found.intervals(BootstrapConfig(samples=200))["pairwise_accuracy"]
    assert bounds["low"] < metrics["pairwise_accuracy"] < bounds["high"]
    assert abs(bounds["high"] - bounds["low"] - 2 * 1.96 * np.sqrt(1 / 12 / 400)) < 0.02
    assert found.intervals(BootstrapConfig(samples=0)) == {}


def test_sparse_vectors_are_compared_as_dense_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of a few users too, with as many columns as a large catalogue has items, most of them empty."""
    random = np.random.default_rng(5)
    long, short = (random.poisson(0.4, (60, 30)).astype(np.float32) for _ in range(2))
    short[3] = 0.0
    owner = np.arange(60) // 2
    expected = retrieve_users(long, short, owner)
    place = np.sort(random.choice(10**7, 30, replace=False))
    columns = scipy.sparse.csr_matrix((np.ones(30), (np.arange(30), place)), shape=(30, 10**7))
    wide = [scipy.sparse.csr_matrix(side) @ columns for side in (long, short)]
    monkeypatch.setattr("tfrec.evaluation.user_retrieval._CHUNK_BYTES", 4 * 2**16 * 7)
    found = retrieve_users(*wide, owner)
    np.testing.assert_allclose(found.own, expected.own, atol=1e-6)
    np.testing.assert_allclose(found.bpr, expected.bpr, atol=1e-6)
    assert found.metrics(range(1, 60)) == pytest.approx(expected.metrics(range(1, 60)), abs=1e-6)
    wide[0].data[0] = np.nan
    with pytest.raises(TfrecError, match="not finite"):
        retrieve_users(*wide, owner)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(TfrecError, match="fewer than two users"):
        retrieve_users(np.ones((2, 2)), np.ones((2, 2)), np.array([3, 3]))
    with pytest.raises(TfrecError, match="not finite"):
        retrieve_users(np.full((2, 2), np.nan), np.ones((2, 2)), np.array([3, 4]))


def test_the_probe_reads_what_is_in_a_vector() -> None:
    """Vectors that say the favourite of 40 categories predict it; random ones do no better than the most frequent."""
    random = np.random.default_rng(1)
    favourite = random.integers(0, 40, 600)
    told = np.eye(40)[favourite] + random.normal(0.0, 0.1, (600, 40))
    blind = random.normal(size=(600, 40))
    counts = 3.0 * np.eye(40)[favourite] + (random.random((600, 40)) < 0.02)
    fit, rest = slice(0, 400), slice(400, 600)
    good = probe_interests(told[fit], counts[fit], told[rest], counts[rest]).mean()
    poor = probe_interests(blind[fit], counts[fit], blind[rest], counts[rest]).mean()
    assert good > 0.8
    assert poor < 0.4


def test_the_probe_by_dense_linear_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse counts and users a few at a time, against the closed form of ridge regression on dense shares."""
    random = np.random.default_rng(2)
    inputs, others = random.normal(3.0, 2.0, (90, 5)), random.normal(3.0, 2.0, (40, 5))
    counts = random.poisson(0.2 + np.exp(0.5 * inputs @ random.normal(size=(5, 14)) - 4.0)).clip(max=9)
    other_counts = random.poisson(0.3, (40, 14))
    other_counts[7] = 0
    monkeypatch.setattr("tfrec.evaluation.interest_probe._CHUNK_BYTES", 8 * 14 * 6)
    monkeypatch.setattr("tfrec.evaluation.interest_probe._PENALTIES", (0.05,))
    matrices = [scipy.sparse.csr_matrix(part) for part in (counts, other_counts)]
    found = probe_interests(inputs, matrices[0], others, matrices[1])
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6  # as the probe has it
    known, unknown = ((part - mean) / scale for part in (inputs, others))
    shares, other_shares = (part / np.maximum(part.sum(axis=1, keepdims=True), 1) for part in (counts, other_counts))
    penalised = np.vstack([known, np.sqrt(0.05 * 90) * np.eye(5)])
    weights = np.linalg.lstsq(penalised, np.vstack([shares - shares.mean(axis=0), np.zeros((5, 14))]), rcond=None)[0]
    first = np.argsort(-(unknown @ weights + shares.mean(axis=0)), axis=1)[:, :10]
    np.testing.assert_allclose(found, np.take_along_axis(other_shares, first, axis=1).sum(axis=1), atol=1e-9)
    assert found[7] == 0.0
    assert 0.5 < found.mean() < 1.0


def test_the_most_frequent_categories_by_hand() -> None:
    popular = np.arange(12.0)  # all but 0 and 1 are among the first ten
    counts = scipy.sparse.csr_matrix([[1.0, 1.0] + [0.0] * 9 + [2.0], [4.0] + [0.0] * 11])
    assert probe_popular(popular, counts).tolist() == [0.5, 0.0]


def test_intervals_resample_users_with_all_their_rows() -> None:
    """Two users of ten rows each, one always found and one never: a resample of users finds none, half or all."""
    long, short = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0), np.repeat([[1.0, 0.0], [0.0, -1.0]], 10, axis=0)
    found = retrieve_users(long, short, np.repeat(["b", "a"], 10))
    assert found.metrics()["user_recall@1"] == 0.5
    bounds = found.intervals(BootstrapConfig(samples=200, seed=1))["user_recall@1"]
    assert (bounds["low"], bounds["high"]) == (0.0, 1.0)
