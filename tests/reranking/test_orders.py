"""Orders and measures of small lists, by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.reranking.calibration import calibrated_lists, divergence
from tfrec.reranking.greedy_lists import scaled_scores
from tfrec.reranking.list_measures import intra_list_diversity, list_divergence, mean_novelty, ranks_in_lists
from tfrec.reranking.mmr import mmr_lists
from tfrec.reranking.novelty import item_novelty, novelty_lists

# One list of four candidates; scaled relevance 1, .9, .5, 0. The first two are twins, the third is half like them.
SCORES = np.array([[12.0, 11.0, 7.0, 2.0]])
VALID = np.ones((1, 4), bool)
SIMILAR = np.array([[[1, 1, 0.5, 0], [1, 1, 0.5, 0], [0.5, 0.5, 1, 0], [0, 0, 0, 1.0]]])


def test_scaling_by_hand() -> None:
    np.testing.assert_allclose(scaled_scores(SCORES, VALID), [[1, 0.9, 0.5, 0]])
    short = np.array([[True, True, False, False]])
    np.testing.assert_allclose(scaled_scores(SCORES, short), [[1, 0, 0, 0]])
    np.testing.assert_allclose(scaled_scores(np.full((1, 4), 3.0), VALID), [[0, 0, 0, 0]])
    np.testing.assert_allclose(scaled_scores(SCORES, ~VALID), [[0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        # First 0. Then .8 x .9 - .2 x 1 = .52, .8 x .5 - .2 x .5 = .3, 0: 1. Then .3 and 0: 2.
        (0.2, [0, 1, 2, 3]),
        # Then .5 x .9 - .5 = -.05, .5 x .5 - .25 = 0, 0: the third goes before the fourth by place; then -.05 and 0.
        (0.5, [0, 2, 3, 1]),
        # By likeness alone: 0 (a tie, by place), then 3 (unlike), then 2 (half), then 1.
        (1.0, [0, 3, 2, 1]),
    ],
)
def test_maximal_marginal_relevance_by_hand(strength: float, expected: list[int]) -> None:
    assert mmr_lists(SCORES, VALID, SIMILAR, length=4, strength=strength).tolist() == [expected]
    assert mmr_lists(SCORES, VALID, SIMILAR, length=2, strength=strength).tolist() == [expected[:2]]


def test_negative_likeness_counts_as_it_is() -> None:
    """After 0: place 1 is like it by .2 (gain .25 x .9 - .75 x .2 = .075), place 2 is opposite (.125 + .75)."""
    similar = np.array([[[1, 0.2, -1.0], [0.2, 1, 0], [-1.0, 0, 1]]])
    found = mmr_lists(SCORES[:, :3], VALID[:, :3], similar, length=3, strength=0.75)
    assert found.tolist() == [[0, 2, 1]]


def test_the_greedy_order_against_loops() -> None:
    """Many lists at once, some short, against one list at a time in plain Python."""
    random = np.random.default_rng(0)
    scores = -np.sort(-random.normal(size=(20, 8)), axis=1)
    valid = np.arange(8) < random.integers(0, 9, (20, 1))
    vectors = random.normal(size=(20, 8, 3))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    similar = vectors @ vectors.transpose(0, 2, 1)
    shares = random.integers(0, 2, (20, 8, 4)).astype(float)
    shares /= np.maximum(shares.sum(axis=2, keepdims=True), 1)
    wanted = random.dirichlet(np.ones(4), 20)
    mmr = mmr_lists(scores, valid, similar, length=5, strength=0.4)
    calibrated = calibrated_lists(scores, valid, shares, wanted, length=5, strength=0.6)
    for row in range(20):
        number = int(valid[row].sum())
        top, low = (scores[row, 0], scores[row, number - 1]) if number else (1.0, 0.0)
        relevance = [(s - low) / (top - low) if top > low else 0.0 for s in scores[row]]

        def marginal(chosen: list[int], place: int, row: int = row, relevance: Any = relevance) -> float:
            worst = max((similar[row, place, other] for other in chosen), default=0.0)
            return 0.6 * relevance[place] - 0.4 * worst

        def calibration(chosen: list[int], place: int, row: int = row, relevance: Any = relevance) -> float:
            listed = [shares[row, other] for other in [*chosen, place] if shares[row, other].sum()]
            q = np.mean(listed, axis=0) if listed else np.zeros(4)
            kl = sum(p * np.log(p / (0.99 * s + 0.01 * p)) for p, s in zip(wanted[row], q, strict=True))
            return 0.4 * sum(relevance[other] for other in [*chosen, place]) - 0.6 * kl

        for found, gain in ((mmr, marginal), (calibrated, calibration)):
            chosen: list[int] = []
            for _ in range(min(5, number)):
                left = [place for place in range(number) if place not in chosen]
                chosen.append(max(left, key=lambda place: gain(chosen, place)))
            assert found[row].tolist() == chosen + [-1] * (5 - len(chosen))


def test_novelty_by_hand() -> None:
    """Events 5, 2, 0 and one more each: shares 6/10, 3/10, 1/10."""
    bits = item_novelty(np.array([0, 0, 5, 2, 0]))
    np.testing.assert_allclose(bits, [0, 0, np.log2(10 / 6), np.log2(10 / 3), np.log2(10)])
    novelty = np.array([[1.0, 2.0, 5.0, 3.0]])  # scaled 0, .25, 1, .5
    # Strength .5: .5, .575, .75, .25.
    assert novelty_lists(SCORES, VALID, novelty, length=3, strength=0.5).tolist() == [[2, 1, 0]]
    assert novelty_lists(SCORES, VALID, novelty, length=3, strength=0.0).tolist() == [[0, 1, 2]]
    assert novelty_lists(SCORES, VALID, novelty, length=9, strength=1.0).tolist() == [[2, 3, 1, 0] + [-1] * 5]
    short = np.array([[True, True, False, False]])
    assert novelty_lists(SCORES, short, novelty, length=3, strength=1.0).tolist() == [[1, 0, -1]]


def test_divergence_by_hand() -> None:
    """p = (.5, .5), q = (1, 0), a hundredth of p in q: .5 ln(.5 / .995) + .5 ln(.5 / .005)."""
    wanted = np.array([0.5, 0.5])
    expected = 0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005)
    assert divergence(wanted, np.array([1.0, 0.0])) == pytest.approx(expected)
    assert divergence(wanted, wanted) == pytest.approx(0.0)
    assert divergence(np.zeros(2), wanted) == 0.0
    assert divergence(np.array([1.0, 0.0]), wanted) == pytest.approx(np.log(1 / 0.505))


def test_a_calibrated_list_has_the_proportions_of_the_history() -> None:
    """Three quarters A, one quarter B; the four best are A: the one B in five moves up."""
    shares = np.array([[[1, 0], [1, 0], [1, 0], [1, 0], [0, 1.0]]])
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    valid, wanted = np.ones((1, 5), bool), np.array([[0.75, 0.25]])
    assert calibrated_lists(scores, valid, shares, wanted, length=4, strength=0.0).tolist() == [[0, 1, 2, 3]]
    strong = calibrated_lists(scores, valid, shares, wanted, length=4, strength=0.99)
    # It is the best of all sets of four by the same measure.
    best = min(
        itertools.combinations(range(5), 4), key=lambda four: divergence(wanted[0], shares[0, list(four)].mean(axis=0))
    )
    assert sorted(strong[0].tolist()) == list(best)
    nothing = calibrated_lists(scores, valid, shares, np.zeros((1, 2)), length=4, strength=0.5)
    assert nothing.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_strengths_out_of_range(strength: float) -> None:
    for call in (
        lambda: mmr_lists(SCORES, VALID, SIMILAR, length=2, strength=strength),
        lambda: novelty_lists(SCORES, VALID, SCORES, length=2, strength=strength),
        lambda: calibrated_lists(SCORES, VALID, SIMILAR, SCORES, length=2, strength=strength),
    ):
        with pytest.raises(ConfigError, match="strength"):
            call()


def test_measures_by_hand() -> None:
    """Items 2..5 with unit vectors (1, 0), (0, 1), (.6, .8) and none."""
    vectors = np.array([[0, 0], [0, 0], [1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)
    items = np.array([[2, 3, 4], [2, 2, -1], [2, 5, -1], [-1, -1, -1], [4, 5, 3]], np.int32)
    diversity = intra_list_diversity(items, vectors)
    # Cosines 0, .6, .8: 1 - 1.4 / 3; equal items 0; one known item: nothing to compare; .8.
    np.testing.assert_allclose(diversity, [1 - 1.4 / 3, 0.0, np.nan, np.nan, 0.2], atol=1e-6)
    novelty = np.array([0, 0, 1.0, 2.0, 6.0, 4.0])
    np.testing.assert_allclose(mean_novelty(items, novelty), [3.0, 1.0, 2.5, np.nan, 4.0])
    categories = np.array([[0, 0], [0, 0], [1, 0], [0, 1], [0.5, 0.5], [0, 0]], float)
    wanted = np.array([[0.5, 0.5], [1, 0], [0.25, 0.75], [0.5, 0.5], [0, 0]])
    expected = [
        0.0,
        0.0,
        0.25 * np.log(0.25 / 0.9925) + 0.75 * np.log(0.75 / 0.0075),
        np.log(100),  # an empty list has nothing of what was wanted
        np.nan,  # no history
    ]
    np.testing.assert_allclose(list_divergence(items, categories, wanted), expected, atol=1e-12)
    assert ranks_in_lists(items, np.array([4, 2, 3, 2, 5])).tolist() == [3, 1, np.inf, np.inf, 2]
