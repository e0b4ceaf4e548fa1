"""Two towers: one for what a user did, one for what an item is."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.layers.history_pooling import HistoryPooling
from tfrec.layers.item_table import ItemTable
from tfrec.layers.item_tower import ItemTower
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.models.informed_encoder import InformedEncoder
from tfrec.models.item_inputs import build_table
from tfrec.models.user_inputs import look_up_users
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("two_tower")
class TwoTower(InformedEncoder):
    """Retrieval by the product (or cosine) of a history vector and an item vector.

    The history tower takes the item vectors of past events, forms weighted means of them (`HistoryPooling`) and passes
    these through dense layers; optionally each known user has a vector of his own, and one made of his side features,
    that is added. The item tower (`ItemTower`) adds a vector of the item's own and one made of its side features. Items
    without training events get their vectors from features alone. Its preset trains by `tfrs.tasks.Retrieval`; any
    other objective will do.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        **kwargs: Shapes of features of items and users, see `InformedEncoder`, and what Keras models take.

    Reference: Covington et al., "Deep neural networks for YouTube recommendations", RecSys 2016; Yi et al.,
        "Sampling-bias-corrected neural modeling", RecSys 2019; Volkovs et al., "DropoutNet", NeurIPS 2017.
    Differences: one table serves history and candidates; every event of a sequence is a target.
    """

    config_class = TwoTowerConfig
    config: TwoTowerConfig
    items: ItemTower

    def __init__(self, config: TwoTowerConfig, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
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

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        rate = self.config.dropout
        real = tf.range(tf.shape(items)[1]) < length[:, tf.newaxis]  # [batch, window]
        mask = tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        vectors = seeded_dropout(self.items(items, dropout_seed), rate, dropout_seed, "history") * mask
        states = self.pooling(vectors)  # [batch, window, decays * dim]
        for number, layer in enumerate(self.dense):
            states = layer(seeded_dropout(states, rate if number else 0.0, dropout_seed, f"hidden {number}"))
        return states * mask

    def _build_items(self) -> ItemTable | ItemTower:
        return build_table(
            self.config,
            self.vocab_size,
            self.features,
            name="items",
            use_ids=self.config.use_ids,
            always_tower=True,
            seed=self.seed,
            dtype=self.dtype_policy,
        )

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
