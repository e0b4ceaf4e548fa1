"""The item tower against arithmetic: own vector plus features, missing values, cold items, touched rows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import DataError
from tfrec.layers.item_tower import FeatureShape, ItemTower, TowerInTraining

FEATURES = {
    "brand": FeatureShape(kind="category", values=5, width=1),
    "genres": FeatureShape(kind="list", values=6, width=3),
    "year": FeatureShape(kind="number", values=0, width=1),
}
TENSORS = {
    "brand": np.array([0, 0, 2, 3, 1, 4], np.int32),  # item 4 has a brand that no training item has
    "genres": np.array([[0, 0, 0], [0, 0, 0], [2, 3, 4], [5, 0, 0], [0, 0, 0], [3, 1, 0]], np.int32),
    "year": np.array([0, 0, 1.5, -0.5, 0, 0.25], np.float32),
}
COUNTS = np.array([0, 0, 7, 3, 2, 0])  # item 5 is cold


def new_tower(**settings: object) -> ItemTower:
    tower = ItemTower(6, 4, features=FEATURES, feature_dim=2, init_stddev=0.5, seed=3, **settings)
    tower.set_items(COUNTS, TENSORS)
    return tower


def expected(tower: ItemTower, item: int) -> np.ndarray:
    """The vector of one item, value by value."""
    parts = []
    brand = TENSORS["brand"][item]
    parts.append(tower.values["brand"].numpy()[brand] if brand >= 2 else np.zeros(2))
    genres = [genre for genre in TENSORS["genres"][item] if genre >= 2]
    parts.append(np.mean([tower.values["genres"].numpy()[genre] for genre in genres], axis=0) if genres else [0, 0])
    parts.append([TENSORS["year"][item]])
    content = np.concatenate(parts)
    for layer in tower.dense:
        kernel, bias = layer.get_weights()
        content = content @ kernel + bias
        if layer is not tower.dense[-1]:
            content = np.maximum(content, 0.0)
    own = tower.ids.vectors.numpy()[item] if COUNTS[item] else np.zeros(4)
    return own + content


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_vector_of_every_item_by_arithmetic(hidden: tuple[int, ...]) -> None:
    tower = new_tower(hidden=hidden)
    for layer in tower.dense:
        layer.set_weights([layer.get_weights()[0], np.random.default_rng(1).normal(size=layer.units)])
    vectors, bias = tower.whole()
    assert bias is None
    np.testing.assert_allclose(vectors, [expected(tower, item) for item in range(6)], atol=1e-6)
    ids = np.array([[5, 2, 2], [3, 4, 5]])
    np.testing.assert_allclose(tower.lookup(tf.constant(ids))[0], vectors.numpy()[ids], atol=1e-6)


def test_without_features_it_is_a_table_and_unknown_items_are_zero() -> None:
    tower = ItemTower(6, 4, features={}, init_stddev=0.5, id_dropout=0.9)
    tower.set_items(COUNTS, {})
    vectors = tower.whole()[0].numpy()
    np.testing.assert_array_equal(vectors[2:5], tower.ids.vectors.numpy()[2:5])
    np.testing.assert_array_equal(vectors[[0, 1, 5]], 0.0)
    trained = TowerInTraining(tower, tf.constant([1, 2])).whole()[0]
    np.testing.assert_array_equal(trained, vectors)  # nothing could stand in for what is dropped


def test_without_ids_items_of_equal_features_are_equal() -> None:
    tower = new_tower(use_ids=False)
    tower.set_items(COUNTS, {**TENSORS, "brand": np.full(6, 2), "year": np.zeros(6), "genres": np.full((6, 3), 2)})
    vectors = tower.whole()[0].numpy()
    np.testing.assert_allclose(vectors[3], vectors[2], atol=1e-7)
    assert np.abs(vectors[2]).max() > 0.01


def test_id_dropout_leaves_the_features() -> None:
    """Over many seeds about a third of the warm items lose their own vector; what is left is what features say."""
    tower = new_tower(id_dropout=1 / 3)
    whole = tower.whole()[0].numpy()
    content = whole - tower.ids.vectors.numpy() * (COUNTS > 0)[:, None]
    look = tf.function(lambda seed: tower(tf.range(6), tf.stack([5, seed])))
    dropped = 0
    for seed in range(200):
        vectors = look(tf.constant(seed)).numpy()
        for item in (2, 3, 4):
            without = np.allclose(vectors[item], content[item], atol=1e-6)
            assert without or np.allclose(vectors[item], whole[item], atol=1e-6)
            dropped += without
        np.testing.assert_allclose(vectors[5], whole[5], atol=1e-6)  # a cold item has nothing to lose
    assert dropped / 600 == pytest.approx(1 / 3, abs=0.08)  # four standard errors


def test_gradient_touches_the_rows_that_were_looked_up() -> None:
    tower = new_tower()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tower(tf.constant([2, 5, 2])) ** 2)
    by_id, by_genre = tape.gradient(loss, [tower.ids.vectors.value, tower.values["genres"].value])
    assert isinstance(by_id, tf.IndexedSlices)
    assert sorted(by_id.indices.numpy().tolist()) == [2, 5]
    np.testing.assert_array_equal(by_id.values.numpy()[by_id.indices.numpy() == 5], 0.0)  # cold: no vector to learn
    dense = tf.math.unsorted_segment_sum(by_genre.values, by_genre.indices, 6).numpy()
    np.testing.assert_array_equal(np.abs(dense).max(axis=1) > 0, [False, False, True, True, True, False])


def test_wide_catalogues_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = new_tower()
    whole = tower.whole()[0].numpy()
    monkeypatch.setattr("tfrec.layers.item_tower._ROWS_AT_ONCE", 4)
    np.testing.assert_allclose(tower.whole()[0], whole, atol=1e-7)


def test_features_of_another_data_set() -> None:
    tower = new_tower()
    with pytest.raises(DataError, match="genres"):
        tower.set_items(COUNTS, {**TENSORS, "genres": np.zeros((6, 2), np.int32)})
    with pytest.raises(DataError, match="year"):
        tower.set_items(COUNTS, {"brand": TENSORS["brand"], "genres": TENSORS["genres"]})
