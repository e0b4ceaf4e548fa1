"""Encoders that are told the user: the profile is one more token, before the first event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.planted_shop import planted_shop, user_id
from tests.harness.tiny_recommender import tiny_recommender
from tfrec.data.dataset import InteractionDataset
from tfrec.layers.item_tower import ItemTower
from tfrec.models.hstu import HSTU
from tfrec.registry import model_class

TOLD = {"user_features": True, "user_vectors": True, "feature_dim": 4, "max_length": 5}
VARIANTS = [
    ("sasrec", {"positions": "from_start"}),
    ("sasrec", {"positions": "from_end", "norm": "post", "similarity": "cosine"}),
    ("hstu", {"positions": "from_start", "rotary_time": True}),
    ("hstu", {"positions": "none", "rotary_time": True, "relative_positions": False, "relative_times": False}),
    ("hstu", {"positions": "none", "output_norm": True}),
]
ITEMS = np.array([[5, 6, 7, 8, 9], [10, 11, 12, 0, 0]], np.int32)
LENGTH = np.array([5, 3], np.int32)
TIMES = np.array([[0, 5, 60, 100, 9000, 9999], [50, 70, 90, 8000, 8000, 8000]], np.int64) * 1000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return planted_shop(tmp_path_factory.mktemp("shop"), "int64", profiles=True)


def states(model: Any, users: list[int] | None) -> np.ndarray:
    told = None if users is None else tf.constant(users)
    times = tf.constant(TIMES) if model.reads_times else None
    return model._states(tf.constant(ITEMS), tf.constant(LENGTH), users=told, times=times).numpy()


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=str)
def test_the_user_is_an_item_before_the_first(name: str, variant: dict[str, Any], shop: InteractionDataset) -> None:
    """A model that is not told the user, and whose catalogue has two items more that are these users."""
    model = tiny_recommender(name, shop, **TOLD, **variant)
    assert isinstance(model.users, ItemTower)
    users = [3, 4]
    size = model.vocab_size
    plain_settings = {**model.config.model_dump(), "user_features": False, "user_vectors": False, "max_length": 6}
    plain = model_class(name)(model_class(name).config_class(**plain_settings), size + 2, seed=3)
    own = {weight.path.replace(model.name, plain.name): weight for weight in model.weights}
    for weight in plain.weights:
        if weight.path.startswith("items/"):
            table = np.concatenate([model.items(tf.range(size)).numpy(), model.users(tf.constant(users)).numpy()])
            weight.assign(table)
        else:
            weight.assign(own[weight.path])
    items = np.concatenate([[[size], [size + 1]], ITEMS], axis=1)
    times = np.concatenate([TIMES[:, :1], TIMES], axis=1)
    also = {"times": tf.constant(times)} if model.reads_times else {}
    expected = plain._states(tf.constant(items), tf.constant(LENGTH + 1), **also).numpy()[:, 1:]
    found = states(model, users)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (2, 5, model.config.dim)
    assert not found[1, 3:].any()
    # Who it is changes every state of that user, and of no other.
    other = states(model, [3, 9])
    np.testing.assert_array_equal(other[0], found[0])
    assert (np.abs(other[1, :3] - found[1, :3]).max(axis=1) > 1e-4).all()
    np.testing.assert_array_equal(states(model, None), states(model, [1, 1]))


@pytest.mark.parametrize("variant", [variant for name, variant in VARIANTS if name == "hstu"], ids=str)
def test_one_event_after_another_with_a_profile(variant: dict[str, Any], shop: InteractionDataset) -> None:
    model = tiny_recommender("hstu", shop, **TOLD, **variant)
    assert isinstance(model, HSTU)
    items, times, users = tf.constant(ITEMS[:1]), tf.constant(TIMES[:1]), tf.constant([4])
    whole = model._states(items, tf.constant([5]), users=users, times=times).numpy()
    window, found = model.empty_window(1), []
    with pytest.raises(tf.errors.InvalidArgumentError, match="first events of a window"):
        model.extend(window, items[:, :1], times[:, :2])
    for first, last in ((0, 2), (2, 3), (3, 5)):
        told = users if first == 0 else None
        part, window = model.extend(window, items[:, first:last], times[:, first : last + 1], told)
        found.append(part.numpy())
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="first events of a window"):
        model.extend(window._replace(length=window.length - 3), items[:, :1], times[:, :2], users)
    with pytest.raises(tf.errors.InvalidArgumentError, match="The window is full"):
        model.extend(window, items[:, :1], times[:, :2])


def test_the_two_tower_model_adds_the_user(shop: InteractionDataset) -> None:
    model = tiny_recommender("two_tower", shop, **{**TOLD, "user_vectors": False})
    assert model.users.ids is None  # features alone
    found, nobody = states(model, [3, 4]), model.encode_window(tf.constant(ITEMS), tf.constant(LENGTH)).numpy()
    own = model.users(tf.constant([3, 4])).numpy()
    np.testing.assert_allclose(found, nobody + own[:, np.newaxis], atol=1e-5)
    again = type(model).from_config(model.get_config())
    assert again.user_features == model.user_features
    assert again.num_users == model.num_users


def test_features_are_those_of_the_file(shop: InteractionDataset) -> None:
    """Users of one city, one age and one list of wishes would have one vector; so has everybody who is not there."""
    model = tiny_recommender("sasrec", shop, **{**TOLD, "user_vectors": False})
    index = dict(zip(shop.vocabulary("user").ids.tolist(), range(2, 99), strict=False))
    features = shop.user_features()
    assert features.known[index[user_id(3, "int64")]]
    assert not features.known[index[user_id(2, "int64")]]
    vectors = model.users(tf.range(model.num_users)).numpy()
    unknown = vectors[1]
    np.testing.assert_allclose(vectors[index[user_id(2, "int64")]], unknown, atol=1e-6)
    assert all(np.abs(vectors[index[user_id(number, "int64")]] - unknown).max() > 1e-3 for number in (0, 1, 3, 30))
    model.users.tables["city"].assign(np.zeros(model.num_users, np.int32))
    assert np.abs(model.users(tf.range(model.num_users)).numpy() - vectors).max() > 1e-3
    model.refresh_items(shop)
    np.testing.assert_array_equal(model.users(tf.range(model.num_users)).numpy(), vectors)


def test_a_dataset_without_users_or_features_is_taken_as_it_is(tmp_path: Path) -> None:
    dataset = planted_shop(tmp_path, "string")
    model = tiny_recommender("hstu", dataset, user_features=True)
    assert (model.users, model.num_users, "user" in model.request_features) == (None, 0, False)
