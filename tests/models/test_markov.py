from __future__ import annotations

import numpy as np
import pytest

from tests.sequence_batches import make_arrays, make_batch
from tfrec.models import markov
from tfrec.models.markov import Markov, MarkovConfig

# Events: 2 three times, 3 three times, 4 twice, 5 never. Popularity fractions over 3 + 1: 3/4, 3/4, 2/4, 0.
TRAIN = [[2, 3, 4], [2, 3], [3, 2, 4]]


def scores_after(history: list[int], config: MarkovConfig) -> list[float]:
    model = Markov(config, vocab_size=6)
    model.fit_sequences(make_arrays(TRAIN))
    return model.score_targets(make_batch([[*history, 2]], [1]))[0].numpy().tolist()


def test_counts_of_the_next_item_with_popularity_below_them() -> None:
    # After 2 came 3 (twice) and 4 (once); after 3 came 4 and 2 (once each); nothing came after 4.
    assert scores_after([2], MarkovConfig()) == [0, 0, 0.75, 2.75, 1.5, 0]
    assert scores_after([4, 3], MarkovConfig()) == [0, 0, 1.75, 0.75, 1.5, 0]
    assert scores_after([2, 4], MarkovConfig()) == [0, 0, 0.75, 0.75, 0.5, 0]


def test_unknown_last_item_leaves_popularity() -> None:
    assert scores_after([2, 1], MarkovConfig()) == [0, 0, 0.75, 0.75, 0.5, 0]


def test_window_weighs_by_steps() -> None:
    # Pairs two steps apart weigh 1/2: (2, 4) in the first sequence and (3, 4) in the last.
    # After 2: item 3 twice = 2, item 4 once at 1 and once at 1/2 = 1.5. Popularity is scaled by 1/lcm(1, 2) = 1/2.
    assert scores_after([2], MarkovConfig(window=2)) == [0, 0, 0.375, 2.375, 1.75, 0]
    # After 3: item 2 = 1, item 4 = 1 + 1/2.
    assert scores_after([3], MarkovConfig(window=2)) == [0, 0, 1.375, 0.375, 1.75, 0]


def test_keeps_the_heaviest_successors() -> None:
    # After 2 only item 3 stays; after 3 items 2 and 4 tie, the smaller index stays.
    assert scores_after([2], MarkovConfig(num_neighbours=1)) == [0, 0, 0.75, 2.75, 0.5, 0]
    assert scores_after([3], MarkovConfig(num_neighbours=1)) == [0, 0, 1.75, 0.75, 0.5, 0]


@pytest.mark.parametrize("window", [1, 3, 10])
def test_chunked_counting_equals_a_loop(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(window)
    train = [rng.integers(2, 9, rng.integers(1, 7)).tolist() for _ in range(30)]
    expected = np.zeros((9, 9))
    for sequence in train:
        for first in range(len(sequence)):
            for steps in range(1, min(window, len(sequence) - 1 - first) + 1):
                expected[sequence[first], sequence[first + steps]] += 1 / steps
    monkeypatch.setattr(markov, "_CHUNK_EVENTS", 7)
    tables = Markov(MarkovConfig(window=window), vocab_size=9).count(make_arrays(train))
    counted = np.zeros((9, 9))
    for item in range(9):
        entries = slice(tables["offsets"][item], tables["offsets"][item + 1])
        counted[item, tables["neighbours"][entries]] = tables["weights"][entries]
    np.testing.assert_allclose(counted, expected, rtol=1e-6)


def test_fewer_events_than_the_window() -> None:
    tables = Markov(MarkovConfig(window=10), vocab_size=5).count(make_arrays([[2, 3]]))
    assert tables["neighbours"].tolist() == [3]
    assert tables["weights"].tolist() == [1.0]
