"""Long-term interest: a vector of what a user has long been interested in, near that of what he does lately."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec.config.long_term_interest_config import LongTermInterestConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.time_features import time_features
from tfrec.data.user_windows import WindowOptions
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import ConfigError, did_you_mean
from tfrec.layers.event_embedding import SCALARS, TIME_FIELDS, EventEmbedding
from tfrec.layers.expert_block import ExpertBlock, mix_real
from tfrec.layers.given_tables import add_given_table
from tfrec.layers.mixture_of_experts import MixtureOfExperts
from tfrec.layers.rotary_attention import RotaryAttention
from tfrec.layers.swiglu_expert import SwigluExpert
from tfrec.layers.window_tower import WindowTower
from tfrec.models.window_pair_encoder import Window, WindowPairEncoder
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("long_term_interest")
class LongTermInterest(WindowPairEncoder):
    """Two transformer towers with mixtures of experts, one for a long window of events and one for a short one.

    Both read the same event vectors: item, its categories, weekday, hour, features of the event, weekend, and position
    in the training period.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        item_features: Number of values of each category of items, 0 (missing) and 1 (unknown) included.
        event_features: Raw values of each feature of events, in the order of their indices from 2 on.
        period: Times of the first and the last training event, milliseconds since 1970.

    Reference: zy-hang/LongTermInterestModel (train.py 8c50ed8, LongTermInterestModel.py d6d860e, DeepSeekMoE.py
        e7f29be).
    Differences: padding is masked; balancing is by a bias unless told otherwise; the scale of days is fitted on the
        training split; negatives are other users of the batch, whose short windows are encoded once; the long tower
        runs once per step; vectors are published from the latest events under the original id of the user.
    """

    config_class = LongTermInterestConfig
    config: LongTermInterestConfig

    def __init__(
        self,
        config: LongTermInterestConfig,
        vocab_size: int,
        *,
        seed: int = 0,
        item_features: Mapping[str, int] | None = None,
        event_features: Mapping[str, Sequence[Any]] | None = None,
        period: tuple[int, int] = (0, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.item_feature_sizes = dict(item_features or {})
        self.event_values = {name: list(values) for name, values in (event_features or {}).items()}
        self.period = (int(period[0]), int(period[1]))
        self.events = EventEmbedding(
            {
                "item": (vocab_size, config.item_dim),
                **{name: (rows, config.item_feature_dim) for name, rows in self.item_feature_sizes.items()},
                "weekday": (TIME_FIELDS["weekday"], config.weekday_dim),
                "hour": (TIME_FIELDS["hour"], config.hour_dim),
                **{
                    name: (len(values) + FIRST_INDEX, config.event_feature_dim)
                    for name, values in self.event_values.items()
                },
            },
            stddev=config.init_stddev,
            seed=derive_seed(seed, "events"),
            name="events",
        )
        self.events.build()
        self.categories = {
            name: add_given_table(self, f"{name}_of_item", (vocab_size,), "int32") for name in self.item_feature_sizes
        }
        self.input_experts = self._mixture("input") if config.moe_position == "input" else None
        if self.input_experts is not None:
            self.input_experts.build()
        self.long_tower, self.short_tower = self._tower("long"), self._tower("short")
        self.built = True

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> LongTermInterest:
        vocabularies, training = dataset.manifest.vocabularies, dataset.manifest.splits["train"]
        item_names = [
            feature.name
            for feature in dataset.schema.item_features
            if feature.shape == "scalar" and feature.name in vocabularies
        ]
        event_names = dataset.event_features
        _check_asked_for(config, "item_features", item_names, "--items FILE", dataset)
        _check_asked_for(config, "event_features", event_names, "--event-features", dataset)
        model = cls(
            config,
            dataset.item_vocabulary.size,
            item_features={name: vocabularies[name].size for name in config.item_features if name in item_names},
            event_features={
                name: dataset.vocabulary(name).ids.tolist() for name in config.event_features if name in event_names
            },
            period=(training.first_time, training.last_time),
            **kwargs,
        )
        model.refresh_items(dataset)
        return model

    @property
    def features_left_out(self) -> list[str]:
        """Configured features that the data set, for which the model was made, does not have."""
        config = self.config
        lacking = [name for name in config.item_features if name not in self.item_feature_sizes]
        return lacking + [name for name in config.event_features if name not in self.event_values]

    def refresh_items(self, dataset: InteractionDataset) -> None:
        """Takes over the categories of the items.

        Raises:
            ConfigError: The data set lacks a category that the model was made for.
        """
        if not self.categories:
            return
        found = dataset.item_features().categories
        for name, table in self.categories.items():
            if name not in found:
                raise ConfigError(
                    f"The data set `{dataset.path}` has no item feature `{name}`, which the model reads.",
                    remedy="Convert the data again with --items and this feature.",
                )
            table.assign(found[name].astype(np.int32))

    # ---- parts ----------------------------------------------------------------------------------------------------

    @property
    def mixtures(self) -> dict[str, MixtureOfExperts]:
        """Every mixture of experts by a name for people."""
        found = {"input": self.input_experts} if self.input_experts is not None else {}
        for tower in (self.long_tower, self.short_tower):
            for number, block in enumerate(tower.blocks, start=1):
                if isinstance(block.experts, MixtureOfExperts):
                    found[f"{tower.name} {number}"] = block.experts
        return found

    @property
    def windows(self) -> WindowOptions:
        """How the events of a user are cut."""
        config = self.config
        features = tuple(self.event_values)
        return WindowOptions(config.long_length, config.short_length, config.long_share, features)

    @functools.cached_property
    def event_vocabularies(self) -> dict[str, Vocabulary]:
        return {
            name: Vocabulary(
                pa.array(values, pa.string() if values and isinstance(values[0], str) else pa.int64()),
                np.zeros(len(values), np.int64),
            )
            for name, values in self.event_values.items()
        }

    def _mixture(self, place: str) -> MixtureOfExperts:
        config = self.config
        return MixtureOfExperts(
            self.events.width,
            config.experts,
            config.active_experts,
            hidden=config.expert_hidden,
            shared=config.shared_experts,
            score=config.expert_score,
            route_scale=config.route_scale,
            groups=config.expert_groups,
            active_groups=config.active_groups,
            balance=config.balance,
            balance_speed=config.balance_speed,
            balance_decay=config.balance_decay,
            seed=derive_seed(self.seed, f"{place} experts"),
            name=f"{place}_experts".replace(" ", "_"),
        )

    def _tower(self, name: str) -> WindowTower:
        config, width = self.config, self.events.width
        blocks = []
        for number in range(config.depth):
            place = f"{name} {number}"
            attention = RotaryAttention(
                width,
                config.heads,
                config.head_dim,
                dropout=config.dropout,
                seed=derive_seed(self.seed, f"{place} attention"),
                name=f"{name}_{number}_attention",
            )
            experts: MixtureOfExperts | SwigluExpert
            if config.moe_position == "inside":
                experts = self._mixture(place)
            else:
                own = derive_seed(self.seed, f"{place} feed-forward")
                experts = SwigluExpert(width, config.expert_hidden or 4 * width, seed=own)
            blocks.append(ExpertBlock(attention, experts, name=f"{name}_{number}"))
        tower = WindowTower(
            blocks,
            width=width,
            dim=config.dim,
            readout=config.readout,
            seed=derive_seed(self.seed, f"{name} tower"),
            name=name,
        )
        tower.build()
        return tower

    # ---- vectors --------------------------------------------------------------------------------------------------

    def encode_window(
        self, side: str, events: Window, *, training: bool = False, dropout_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        vectors, real = self.event_vectors(events)
        return self.encode_vectors(side, vectors, real, training=training, dropout_seed=dropout_seed)

    def encode_vectors(
        self,
        side: str,
        vectors: tf.Tensor,
        real: tf.Tensor,
        *,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `encode_window`, from event vectors `[batch, window, width]` and bool `[batch, window]`."""
        mask = real if self.config.use_mask else None
        loss = tf.constant(0.0)
        if self.input_experts is not None:
            mixed, loss = mix_real(self.input_experts, vectors, mask, training=training)
            vectors += mixed
        tower = self.long_tower if side == "long" else self.short_tower
        encoded, own = tower(vectors, mask, training=training, dropout_seed=dropout_seed)
        return encoded, loss + own

    def event_vectors(self, events: Window) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the vectors of events float `[batch, window, width]`, 0 at padding, and what is real, bool."""
        item = events["item"]
        real = tf.range(tf.shape(item)[1]) < events["length"][:, tf.newaxis]  # [batch, window]
        item = tf.where(real, item, 0)
        fields = {"item": item}
        fields |= {name: tf.gather(table.value, item) for name, table in self.categories.items()}
        for name in self.event_values:
            fields[name] = tf.cast(events[name], tf.int32) if name in events else tf.zeros_like(item)
        times = time_features(events["timestamp"], *self.period)
        fields |= {name: getattr(times, name) for name in (*TIME_FIELDS, *SCALARS)}
        fields = {name: tf.where(real, value, tf.zeros_like(value)) for name, value in fields.items()}
        return self.events(fields), real

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "item_features": self.item_feature_sizes,
            "event_features": self.event_values,
            "period": list(self.period),
        }


def _check_asked_for(
    config: LongTermInterestConfig, key: str, present: Sequence[str], option: str, dataset: InteractionDataset
) -> None:
    """Raises ConfigError for a feature that the data set lacks and that no default names."""
    asked_for = set(getattr(config, key)) - set(type(config).model_fields[key].default)
    for name in sorted(asked_for - set(present)):
        raise ConfigError(
            f"`model.{key}` names `{name}`, of which the data set `{dataset.path}` has no categories.",
            remedy=did_you_mean(name, present) if present else f"It has none; convert the data again with {option}.",
        )
