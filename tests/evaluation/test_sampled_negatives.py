from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.config.evaluation_config import SampledConfig
from tfrec.data.targets import target_positions
from tfrec.errors import ConfigError
from tfrec.evaluation.sampled_negatives import SampledNegatives

VOCAB = 202
EVEN = np.array([0, 0, *[1] * 200])


def users(sequences: list[list[int]], ids: list[int], num_targets: int = 1) -> dict[str, tf.Tensor]:
    batch = make_batch(sequences, [num_targets] * len(sequences))
    return {**batch, "user_id": tf.constant(ids, tf.int64)}


def draw(negatives: SampledNegatives, batch: dict[str, tf.Tensor]) -> np.ndarray:
    return negatives(batch, *target_positions(batch))


def sampler(counts: np.ndarray = EVEN, **settings: object) -> SampledNegatives:
    return SampledNegatives(SampledConfig(**settings), counts)


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("exclude_history", [False, True])
def test_negatives_are_distinct_items_other_than_the_target(distribution: str, exclude_history: bool) -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(2, VOCAB, rng.integers(2, 60)).tolist() for _ in range(150)]
    negatives = sampler(
        np.array([0, 0, *range(1, 201)]), distribution=distribution, exclude_history=exclude_history, num_negatives=99
    )
    drawn = draw(negatives, users(sequences, list(range(150))))
    assert drawn.shape == (150, 99)
    assert drawn.min() >= 2
    assert drawn.max() < VOCAB
    met_history = 0
    for row, sequence in zip(drawn.tolist(), sequences, strict=True):
        assert len({*row, sequence[-1]}) == 100
        met_history += len(set(row) & set(sequence[:-1]))
    assert (met_history == 0) == exclude_history


def test_a_target_has_the_same_negatives_in_every_batch_and_order() -> None:
    sequences = [[2, 3, 4], [5, 6, 7, 8], [9, 10]]
    together = draw(sampler(), users(sequences, [11, 12, 13]))
    swapped = draw(sampler(), users([sequences[2], sequences[0]], [13, 11]))
    np.testing.assert_array_equal(together[[2, 0]], swapped)
    # The same sequence of another user, another seed, and the second target of a sequence: other negatives.
    assert not np.array_equal(draw(sampler(), users([sequences[0]], [14])), together[:1])
    assert not np.array_equal(draw(sampler(seed=1), users(sequences, [11, 12, 13])), together)
    both = draw(sampler(), users([sequences[0]], [11], num_targets=2))
    np.testing.assert_array_equal(both[1], together[0])
    assert not np.array_equal(both[0], both[1])


def test_uniform_negatives_take_every_item_equally_often() -> None:
    drawn = draw(sampler(num_negatives=20), users([[2, 3]] * 4_000, list(range(4_000))))
    counts = np.bincount(drawn.ravel(), minlength=VOCAB)
    assert counts[:2].sum() == counts[3] == 0  # padding, out of vocabulary, and the target
    # 80,000 draws over 199 items: expected 402; drawing without replacement varies less than chi-square, whose 0.999
    # quantile for 198 degrees of freedom is 265.
    expected = 80_000 / 199
    others = np.delete(counts[2:], 1)
    assert ((others - expected) ** 2 / expected).sum() < 265


def test_popularity_negatives_are_drawn_in_proportion_without_replacement() -> None:
    # Items 2, 3, 4, 5 with weights 6, 3, 2, 1 and target 5: two of {2, 3, 4} one after the other. Item 4 is left out
    # with probability 6/11 * 3/5 + 3/11 * 6/8, item 3 with 6/11 * 2/5 + 2/11 * 6/9.
    negatives = sampler(np.array([0, 0, 6, 3, 2, 1]), num_negatives=2, distribution="popularity")
    number = 6_000
    drawn = draw(negatives, users([[3, 5]] * number, list(range(number))))
    without_4 = 6 / 11 * 3 / 5 + 3 / 11 * 6 / 8
    without_3 = 6 / 11 * 2 / 5 + 2 / 11 * 6 / 9
    for item, missing in ((4, without_4), (3, without_3)):
        share = 1 - (drawn == item).any(axis=1).mean()
        assert abs(share - missing) < 4 * np.sqrt(missing * (1 - missing) / number)
    first = (drawn[:, 0] == 2).mean()  # the order is that of the draws
    assert abs(first - 6 / 11) < 4 * np.sqrt(6 / 11 * 5 / 11 / number)


def test_drawing_on_and_the_exhaustive_race_have_the_same_distribution() -> None:
    # One item holds nearly all the weight: after it, draws meet nothing new and the race completes the list.
    weights = np.array([0, 0, 10_000_000, 3, 2, 1, 5])
    negatives = sampler(weights, num_negatives=2, distribution="popularity")
    number = 4_000
    drawn = draw(negatives, users([[2, 6]] * number, list(range(number))))
    assert (drawn[:, 0] == 2).mean() > 0.999
    for item, weight in ((3, 3), (4, 2), (5, 1)):
        share = (drawn[:, 1] == item).mean()
        assert abs(share - weight / 6) < 4 * np.sqrt(weight / 6 * (1 - weight / 6) / number)


def test_all_items_can_be_asked_for() -> None:
    drawn = draw(sampler(num_negatives=199), users([[2, 3], [2, 150]], [0, 1]))
    assert sorted(drawn[0].tolist()) == [item for item in range(2, VOCAB) if item != 3]
    assert sorted(drawn[1].tolist()) == [item for item in range(2, VOCAB) if item != 150]


def test_too_few_items_are_an_error() -> None:
    with pytest.raises(ConfigError, match="only 200 items"):
        sampler(num_negatives=200)
    with pytest.raises(ConfigError, match="only 3 items"):
        sampler(np.array([0, 0, 5, 0, 1, 2]), num_negatives=3, distribution="popularity")
    negatives = sampler(num_negatives=150, exclude_history=True)
    with pytest.raises(ConfigError, match="leaves 139 items"):
        draw(negatives, users([list(range(2, 63))], [0]))  # 60 items of history and the target


def test_the_label_says_what_was_drawn() -> None:
    assert sampler().label == "sampled, 99 uniform negatives"
    assert sampler(num_negatives=5, distribution="popularity", exclude_history=True).label == (
        "sampled, 5 popularity negatives, history excluded"
    )
