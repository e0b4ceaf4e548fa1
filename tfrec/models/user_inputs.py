"""The user side of a sequence encoder: a table of vectors, or a tower over what is known of the users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import tensorflow as tf

from tfrec.config.user_inputs_config import UserInputsConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.layers.item_table import ItemTable
from tfrec.layers.item_tower import FeatureShape, ItemTower
from tfrec.models.item_inputs import build_table, feature_shapes


class UserShapes(TypedDict):
    """What a model must know of users before it sees the data.

    The number of user indices, 0 where the model is not told the user; the shapes of the features of users.
    """

    num_users: int
    user_features: dict[str, FeatureShape]


def user_shapes(config: UserInputsConfig, dataset: InteractionDataset) -> UserShapes:
    """Returns what a configuration asks for and a dataset has."""
    features: dict[str, FeatureShape] = {}
    if config.user_features and dataset.has_user_features:
        features = feature_shapes(dataset.user_features())
    told = "user" in dataset.manifest.vocabularies and (config.user_vectors or bool(features))
    return UserShapes(num_users=dataset.manifest.vocabularies["user"].size if told else 0, user_features=features)


def build_users(
    config: Any, num_users: int, features: Mapping[str, FeatureShape] | None, *, seed: int, dtype: Any
) -> ItemTable | ItemTower | None:
    """Returns the user side of a model whose configuration is a `UserInputsConfig` with `dim` and `init_stddev`.

    A user without training events, or unknown, has no vector of its own: it is what its features say.

    Args:
        config: The configuration.
        num_users: Number of user indices; 0 for a model that is not told the user.
        features: Shape of every feature; none makes a plain table.
        seed: Seed of the model.
        dtype: Precision policy.
    """
    if not num_users:
        return None
    return build_table(config, num_users, features, name="users", use_ids=config.user_vectors, seed=seed, dtype=dtype)


def look_up_users(users: ItemTable | ItemTower, index: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the vectors of users: int32 `[batch]` -> float `[batch, dim]`; no drop-out without a seed."""
    return users(index, dropout_seed) if isinstance(users, ItemTower) else users(index)


def refresh_users(users: ItemTable | ItemTower | None, dataset: InteractionDataset) -> None:
    """Takes over what a data set says of its users, where the model uses any of it."""
    if isinstance(users, ItemTower):
        users.set_items(dataset.vocabulary("user").counts, dataset.user_features().as_tensors())
