"""What encoders share that are told of items, and of the user, more than their ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tfrec.data.dataset import InteractionDataset
from tfrec.layers.item_table import ItemTable
from tfrec.layers.item_tower import FeatureShape, ItemTower
from tfrec.models.item_inputs import build_table, item_shapes
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.models.user_inputs import build_users, refresh_users, user_shapes

_Encoder = TypeVar("_Encoder", bound="InformedEncoder")


class InformedEncoder(SequenceEncoder):
    """Sequence encoder with side features of items and users; makes `self.items` and `self.users`.

    Args:
        config: A `UserInputsConfig` with `dim` and `init_stddev`.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        features: Shape of every feature of items; none for items that are their ids.
        num_users: Number of user indices; 0 for a model that is not told the user.
        user_features: Shape of every feature of users.
    """

    def __init__(
        self,
        config: Any,
        vocab_size: int,
        *,
        seed: int = 0,
        features: Mapping[str, FeatureShape] | None = None,
        num_users: int = 0,
        user_features: Mapping[str, FeatureShape] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.features, self.user_features = dict(features or {}), dict(user_features or {})
        self.num_users = num_users
        self.items = self._build_items()
        self.users = build_users(config, num_users, self.user_features, seed=seed, dtype=self.dtype_policy)

    @classmethod
    def for_dataset(cls: type[_Encoder], config: Any, dataset: InteractionDataset, **kwargs: Any) -> _Encoder:
        shapes: dict[str, Any] = {"features": item_shapes(config, dataset), **user_shapes(config, dataset)}
        model = cls(config, dataset.item_vocabulary.size, **shapes, **kwargs)
        model.refresh_items(dataset)
        return model

    @property
    def request_features(self) -> tuple[str, ...]:
        return () if self.users is None else ("user",)

    def refresh_items(self, dataset: InteractionDataset) -> None:
        super().refresh_items(dataset)
        refresh_users(self.users, dataset)

    def get_config(self) -> dict[str, Any]:
        shapes = {"features": self.features, "num_users": self.num_users, "user_features": self.user_features}
        return {**super().get_config(), **shapes}

    @property
    def _item_bias(self) -> bool:
        """Whether a learned bias is added to the score of each item; not with features."""
        return False

    def _build_items(self) -> ItemTable | ItemTower:
        """Returns the item side: a table, or a tower where there are features."""
        return build_table(
            self.config,
            self.vocab_size,
            self.features,
            name="items",
            use_bias=self._item_bias,
            seed=self.seed,
            dtype=self.dtype_policy,
        )
