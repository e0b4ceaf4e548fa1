"""Two towers: one for what a user did, one for what an item is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.layers.history_pooling import HistoryPooling
from tfrec.layers.item_tower import FeatureShape, ItemTower
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.models.item_inputs import item_shapes
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.models.user_inputs import build_users, look_up_users, refresh_users, user_shapes
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("two_tower")
class TwoTower(SequenceEncoder):
    """Retrieval by the product (or cosine) of a history vector and an item vector.

    The history tower takes the item vectors of past events, forms weighted means of them (`HistoryPooling`) and passes
    these through dense layers; optionally each known user has a vector of his own, and one made of his side features,
    that is added. The item tower
    (`ItemTower`) adds a vector of the item's own and one made of its side features. Items without training events get
    their vectors from features alone. Its preset trains by `tfrs.tasks.Retrieval`; any other objective will do.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        features: Shape of every item feature.
        num_users: Number of user indices, including 0 and 1; 0 for a model that is not told the user.
        user_features: Shape of every user feature.

    Reference: Covington et al., "Deep neural networks for YouTube recommendations", RecSys 2016; Yi et al.,
        "Sampling-bias-corrected neural modeling", RecSys 2019; Volkovs et al., "DropoutNet", NeurIPS 2017.
    Differences: one table serves history and candidates; every event of a sequence is a target.
    """

    config_class = TwoTowerConfig
    config: TwoTowerConfig
    items: ItemTower

    def __init__(
        self,
        config: TwoTowerConfig,
        vocab_size: int,
        *,
        seed: int = 0,
        features: Mapping[str, FeatureShape] | None = None,
        num_users: int = 0,
        user_features: Mapping[str, FeatureShape] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.num_users = num_users
        self.items = ItemTower(
            vocab_size,
            config.dim,
            features=features or {},
            feature_dim=config.feature_dim,
            hidden=config.feature_hidden,
            use_ids=config.use_ids,
            id_dropout=config.id_dropout,
            init_stddev=config.init_stddev,
            seed=derive_seed(seed, "items"),
            name="items",
            dtype=self.dtype_policy,
        )
        self.user_features = dict(user_features or {})
        self.users = build_users(config, num_users, self.user_features, seed=seed, dtype=self.dtype_policy)
        self.pooling = HistoryPooling(config.decays, name="pooling", dtype=self.dtype_policy)
        self.dense: list[keras.layers.Dense] = []
        width = len(config.decays) * config.dim
        for number, units in enumerate([*config.hidden, config.dim]):
            layer = keras.layers.Dense(
                units,
                activation="relu" if number < len(config.hidden) else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(seed, "history", number)),
                name=f"history_{number}",
                dtype=self.dtype_policy,
            )
            layer.build((None, None, width))
            self.dense.append(layer)
            width = units
        self.built = True

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> TwoTower:
        shapes: dict[str, Any] = {"features": item_shapes(config, dataset), **user_shapes(config, dataset)}
        model = cls(config, dataset.item_vocabulary.size, **shapes, **kwargs)
        model.refresh_items(dataset)
        return model

    def refresh_items(self, dataset: InteractionDataset) -> None:
        super().refresh_items(dataset)
        refresh_users(self.users, dataset)

    @property
    def request_features(self) -> tuple[str, ...]:
        return () if self.users is None else ("user",)

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        rate = self.config.dropout
        real = tf.range(tf.shape(items)[1]) < length[:, tf.newaxis]  # [batch, window]
        mask = tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        vectors = seeded_dropout(self.items(items, dropout_seed), rate, dropout_seed, "history") * mask
        states = self.pooling(vectors)  # [batch, window, decays * dim]
        for number, layer in enumerate(self.dense):
            states = layer(seeded_dropout(states, rate if number else 0.0, dropout_seed, f"hidden {number}"))
        return states * mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "features": self.items.features,
            "num_users": self.num_users,
            "user_features": self.user_features,
        }

    def _states(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
        users: tf.Tensor | None = None,
        times: tf.Tensor | None = None,
    ) -> tf.Tensor:
        del times
        states = self.encode_window(items, length, dropout_seed=dropout_seed)  # [batch, window, dim]
        if self.users is not None and users is not None:
            own = look_up_users(self.users, users, dropout_seed)  # [batch, dim]
            own = seeded_dropout(own, self.config.dropout, dropout_seed, "users")
            states += own[:, tf.newaxis]
        return self.comparable(states)
