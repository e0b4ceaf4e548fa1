"""Side features and ready-made vectors of items as inputs of SASRec and HSTU."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.export_test import run_export_test
from tests.harness.planted_shop import planted_shop
from tests.harness.tiny_recommender import tiny_recommender
from tests.sequence_batches import make_batch
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.layers.item_tower import ItemTower

SETTINGS = {"item_features": True, "item_vectors": ["text"], "feature_dim": 4}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    """A shop whose items have vectors of length 3, but for the item of index 4."""
    dataset = planted_shop(tmp_path_factory.mktemp("shop"), "string")
    ids = dataset.item_vocabulary.ids
    vectors = np.random.default_rng(1).normal(size=(len(ids), 3))
    kept = np.arange(len(ids)) != 2
    write_item_vectors(dataset, "text", ids[kept], vectors[kept])
    return dataset


def test_a_ready_vector_is_scaled_and_projected() -> None:
    """By hand: (3, 4) has the direction (.6, .8); projected by [[1], [10]] that is 8.6, and doubled 17.2."""
    tower = ItemTower(4, 1, features={"v": {"kind": "vector", "values": 0, "width": 2}}, feature_dim=1, use_ids=False)
    tower.set_items(np.ones(4), {"v": np.array([[0, 0], [0, 0], [3, 4], [0, 0]])})
    tower.projections["v"].kernel.assign([[1.0], [10.0]])
    tower.dense[0].set_weights([np.array([[2.0]]), np.array([0.0])])
    np.testing.assert_allclose(tower(tf.constant([2, 3, 2])), [[17.2], [0.0], [17.2]], rtol=1e-5)


def test_directions_of_very_long_and_very_short_vectors_are_kept() -> None:
    """Tables are float16, whose largest number is 65,504 and whose smallest 6e-8."""
    tower = ItemTower(5, 1, features={"v": {"kind": "vector", "values": 0, "width": 2}}, feature_dim=1, use_ids=False)
    tower.set_items(np.ones(5), {"v": np.array([[0, 0], [0, 0], [3e30, 4e30], [3e-12, 4e-12], [0, 0]], np.float32)})
    tower.projections["v"].kernel.assign([[1.0], [10.0]])
    tower.dense[0].set_weights([np.array([[1.0]]), np.array([0.0])])
    np.testing.assert_allclose(tower.whole()[0], [[0], [0], [8.6], [8.6], [0]], rtol=1e-3)  # of (.6, .8)


@pytest.mark.parametrize("name", ["sasrec", "hstu"])
def test_cold_items_are_what_their_features_say(name: str, shop: InteractionDataset) -> None:
    model = tiny_recommender(name, shop, **SETTINGS)
    assert set(model.items.features) == {"colour", "price", "vectors_text"}
    table = model.item_table()[0].numpy()
    cold = shop.item_vocabulary.counts == 0
    cold[:2] = False
    own = model.items.ids.vectors
    own.assign(own.numpy() + 1.0)
    changed = model.item_table()[0].numpy()
    np.testing.assert_array_equal(changed[cold], table[cold])
    assert cold.sum() == 2
    assert np.abs(table[cold][0] - table[cold][1]).max() > 1e-3
    assert np.abs(changed - table)[2:][~cold[2:]].min() > 0.5
    # Inputs are the same vectors: another vector of an item in the history changes the state.
    batch = make_batch([[3, 4, 5, 6]])
    before = model.encode(batch).numpy()
    model.items.tables["vectors_text"].assign(tf.reverse(model.items.tables["vectors_text"].value, [0]))
    assert np.abs(model.encode(batch).numpy() - before).max() > 1e-3
    model.refresh_items(shop)
    np.testing.assert_allclose(model.encode(batch), before, atol=1e-6)
    again = type(model).from_config(model.get_config())
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]


def test_an_export_has_the_tower_in_it(shop: InteractionDataset) -> None:
    run_export_test("hstu", shop, "string", **SETTINGS)
