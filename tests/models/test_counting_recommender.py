from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sequence_batches import make_arrays, make_batch
from tfrec.errors import DataError, TrainingError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.registry import model_class

VOCAB = 12
MODELS: dict[str, list[dict[str, Any]]] = {
    "popularity": [{}],
    "session_popularity": [{}],
    "markov": [{}, {"window": 3, "num_neighbours": 2}],
    "item_knn": [{}, {"similarity": "cosine", "last_item_only": True, "shrinkage": 2.0, "num_neighbours": 3}],
}
CASES = [(name, values) for name, variants in MODELS.items() for values in variants]


def make_model(name: str, values: dict[str, Any]) -> CountingRecommender:
    rng = np.random.default_rng(0)
    cls = model_class(name)
    model: CountingRecommender = cls(cls.config_class.model_validate(values), VOCAB)
    model.fit_sequences(make_arrays([rng.integers(2, VOCAB, rng.integers(2, 9)).tolist() for _ in range(40)]))
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, CountingRecommender]:
    return {str(case): make_model(*case) for case in CASES}


sequences = st.lists(st.integers(1, VOCAB - 1), min_size=2, max_size=7)


@settings(max_examples=12, deadline=None)
@given(first=sequences, second=sequences, change=st.integers(2, VOCAB - 1), position=st.integers(1, 6))
def test_later_events_never_change_earlier_scores(
    models: dict[str, CountingRecommender], first: list[int], second: list[int], change: int, position: int
) -> None:
    position = min(position, len(first) - 1)
    changed = [*first[:position], change, *([change] * (len(first) - position - 1))]
    for case, model in models.items():
        before = model.score_targets(make_batch([first, second])).numpy()
        after = model.score_targets(make_batch([changed, second])).numpy()
        # Row t predicts event t + 1 from events 0..t, so rows 0..position-1 have not seen the change.
        np.testing.assert_array_equal(before[:position], after[:position], err_msg=case)
        np.testing.assert_array_equal(before[len(first) - 1 :], after[len(first) - 1 :], err_msg=case)


@settings(max_examples=8, deadline=None)
@given(first=sequences, second=sequences)
def test_padding_batch_order_and_number_of_targets_do_not_matter(
    models: dict[str, CountingRecommender], first: list[int], second: list[int]
) -> None:
    for case, model in models.items():
        alone = model.score_targets(make_batch([first])).numpy()
        together = model.score_targets(make_batch([second, first], width=9)).numpy()
        np.testing.assert_allclose(together[len(second) - 1 :], alone, rtol=1e-6, err_msg=case)
        last = model.score_targets(make_batch([first], [1])).numpy()
        np.testing.assert_allclose(last, alone[-1:], rtol=1e-6, err_msg=case)


@pytest.mark.parametrize(("name", "values"), CASES)
def test_saved_models_and_weights_score_the_same(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    model = make_model(name, values)
    batch = make_batch([[2, 5, 3, 2], [7, 8]])
    expected = model(batch).numpy()
    assert expected.shape == (4, VOCAB)
    assert not model.trainable_weights

    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored(batch), expected)

    model.save_weights(tmp_path / "model.weights.h5")
    twin = type(model).from_config(model.get_config())
    twin.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(twin(batch), expected)

    third = type(model).from_config(model.get_config())
    third.set_weights(model.get_weights())
    np.testing.assert_array_equal(third(batch), expected)


@pytest.mark.parametrize(("name", "values"), CASES)
def test_exports_to_a_saved_model_of_stock_operations(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    model = make_model(name, values)

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), *([tf.TensorSpec([None], tf.int32)] * 2)])
        def score(self, item: tf.Tensor, length: tf.Tensor, num_targets: tf.Tensor) -> tf.Tensor:
            return self.model.score_targets({"item": item, "length": length, "num_targets": num_targets})

    served = Served()
    tf.saved_model.save(served, str(tmp_path), signatures={"score": served.score})
    loaded = tf.saved_model.load(str(tmp_path))
    batch = make_batch([[2, 5, 3], [7, 8]])
    scores = loaded.score(batch["item"], batch["length"], batch["num_targets"])
    np.testing.assert_allclose(scores, model.score_targets(batch), rtol=1e-6)
    functions = loaded.signatures["score"].graph.as_graph_def().library.function
    operations = {node.op for function in functions for node in function.node_def}
    assert "TensorScatterAdd" in operations or "Tile" in operations
    assert not operations & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


@pytest.mark.parametrize(("name", "values"), CASES)
def test_evaluates_batch_by_batch_as_in_one(name: str, values: dict[str, Any]) -> None:
    model = make_model(name, values)
    items = [[2, 3, 4], [5, 6, 2, 1], [7, 8], [9, 10, 11, 3, 3], [4, 4]]
    one = evaluate_ranking(model, [make_batch(items)], keep_ranks=True, exclude_history=True)
    single = [make_batch([sequence]) for sequence in items]
    many = evaluate_ranking(model, single, keep_ranks=True, exclude_history=True, chunk_bytes=1)
    np.testing.assert_array_equal(one.ranks, many.ranks)
    assert one.num_unknown_targets == 1


def test_rejects_scoring_before_and_counting_after_the_fit() -> None:
    cls = model_class("popularity")
    model = cls(cls.config_class(), VOCAB)
    with pytest.raises(TrainingError, match="has not been fitted"):
        model.score_targets(make_batch([[2, 3]]))
    model.fit_sequences(make_arrays([[2, 3]]))
    with pytest.raises(TrainingError, match="already"):
        model.fit_sequences(make_arrays([[2, 3]]))


def test_counts_the_training_split_and_checks_the_vocabulary() -> None:
    splits = {"train": make_arrays([[2, 2, 3]])}
    dataset: Any = SimpleNamespace(
        path="DS", item_vocabulary=SimpleNamespace(size=4), load_ragged=lambda split: splits[split]
    )
    cls = model_class("popularity")
    model = cls(cls.config_class(), 4)
    model.fit_counts(dataset)
    # 2 events of item 2, 1 of item 3, over 2 + 1.
    np.testing.assert_allclose(model.score_targets(make_batch([[2, 3]])), [[0, 0, 2 / 3, 1 / 3]], rtol=1e-6)
    with pytest.raises(DataError, match=r"4 indices, the model was made for 5"):
        cls(cls.config_class(), 5).fit_counts(dataset)
