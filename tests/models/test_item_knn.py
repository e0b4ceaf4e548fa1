from __future__ import annotations

import math

import numpy as np
import pytest

from tests.sequence_batches import make_arrays, make_batch
from tfrec.models import item_knn
from tfrec.models.item_knn import ItemKNN, ItemKNNConfig

# Sequences with 2: A, B, C. With 3: A, B. With 4: C, D. With 5: D. (2 occurs twice in A and counts once.)
TRAIN = [[2, 3, 2], [3, 2], [2, 4], [4, 5]]


def scores_after(history: list[int], **settings: object) -> np.ndarray:
    model = ItemKNN(ItemKNNConfig.model_validate({"similarity": "cosine", "recency_decay": 1.0, **settings}), 6)
    model.fit_sequences(make_arrays(TRAIN))
    scores: np.ndarray = model.score_targets(make_batch([[*history, 2]], [1]))[0].numpy()
    return scores


def test_cosine_of_the_last_item() -> None:
    # |2| = sqrt 3, |3| = sqrt 2, |4| = sqrt 2; 2.3 = 2 (A, B), 2.4 = 1 (C), 2.5 = 0; not its own neighbour.
    expected = [0, 0, 0, 2 / math.sqrt(6), 1 / math.sqrt(6), 0]
    np.testing.assert_allclose(scores_after([2]), expected, rtol=1e-6)


def test_history_is_summed_with_recency_decay() -> None:
    # History 4 (one event ago), 2 (now). 4.2 = 1/sqrt 6, 4.5 = 1/sqrt 2.
    after_two = [0, 0, 0, 2 / math.sqrt(6), 1 / math.sqrt(6), 0]
    after_four = [0, 0, 1 / math.sqrt(6), 0, 0, 1 / math.sqrt(2)]
    expected = np.array(after_two) + 0.8 * np.array(after_four)
    np.testing.assert_allclose(scores_after([4, 2], recency_decay=0.8), expected, rtol=1e-6)
    np.testing.assert_allclose(scores_after([4, 2], last_item_only=True), after_two, rtol=1e-6)


def test_shrinkage_and_popularity_balance() -> None:
    # (|2|^2 + 1)^(1 - b) (|j|^2 + 1)^b with b = 0.25: 4^.75 * 3^.25 for items 3 and 4.
    scale = 4**0.75 * 3**0.25
    expected = [0, 0, 0, 2 / scale, 1 / scale, 0]
    np.testing.assert_allclose(scores_after([2], shrinkage=1.0, popularity_balance=0.25), expected, rtol=1e-6)


def test_tfidf_weighs_sequences_by_their_length() -> None:
    # 10 items. Sequences {2, 3}, {2, 4, 5, 6}: weights a = log(10 / 3) and b = log(10 / 5).
    model = ItemKNN(ItemKNNConfig(recency_decay=1.0), vocab_size=12)
    model.fit_sequences(make_arrays([[2, 3], [2, 4, 5, 6]]))
    scores = model.score_targets(make_batch([[2, 2]]))[0].numpy()
    a, b = math.log(10 / 3), math.log(10 / 5)
    # 2 = (a, b), 3 = (a, 0), 4 = (0, b).
    assert scores[3] == pytest.approx(a * a / (math.hypot(a, b) * a))
    assert scores[4] == scores[5] == scores[6] == pytest.approx(b * b / (math.hypot(a, b) * b))


def test_keeps_the_most_similar_neighbours() -> None:
    np.testing.assert_allclose(scores_after([2], num_neighbours=1), [0, 0, 0, 2 / math.sqrt(6), 0, 0], rtol=1e-6)


def test_unknown_items_are_ignored() -> None:
    np.testing.assert_array_equal(scores_after([1]), np.zeros(6))
    np.testing.assert_array_equal(scores_after([2, 1], recency_decay=0.5), 0.5 * scores_after([2]))


@pytest.mark.parametrize("limit", [2, 100])
def test_blocks_do_not_change_the_result_and_match_dense_algebra(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train = [rng.integers(2, 15, rng.integers(2, 8)).tolist() for _ in range(40)]
    config = ItemKNNConfig(similarity="cosine", num_neighbours=limit)
    whole = ItemKNN(config, 15).count(make_arrays(train))
    monkeypatch.setattr(item_knn, "_BLOCK_ENTRIES", 50)
    blocked = ItemKNN(config, 15).count(make_arrays(train))
    for name, table in whole.items():
        np.testing.assert_array_equal(blocked[name], table)
    dense = np.zeros((len(train), 15))
    for row, sequence in enumerate(train):
        dense[row, sequence] = 1
    norms = np.maximum(np.sqrt(dense.sum(0)), 1)
    similarity = dense.T @ dense / np.outer(norms, norms)
    np.fill_diagonal(similarity, 0)
    for item in range(15):
        entries = slice(whole["offsets"][item], whole["offsets"][item + 1])
        strongest = np.sort(similarity[item][similarity[item] > 0])[::-1][:limit]
        np.testing.assert_allclose(np.sort(whole["weights"][entries])[::-1], strongest, rtol=1e-6)
        np.testing.assert_allclose(whole["weights"][entries], similarity[item, whole["neighbours"][entries]], rtol=1e-6)


def test_long_histories_in_steps_equal_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ItemKNN(ItemKNNConfig(similarity="cosine"), 6)
    model.fit_sequences(make_arrays(TRAIN))
    batch = make_batch([[2, 4, 3, 5, 2, 2, 4, 3], [3, 5, 2]])
    at_once = model.score_targets(batch)
    monkeypatch.setattr(item_knn, "_STEP_ENTRIES", 1)
    np.testing.assert_allclose(model.score_targets(batch), at_once, rtol=1e-6)
