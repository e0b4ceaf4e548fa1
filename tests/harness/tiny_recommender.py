"""Any registered model, tiny, with weights that are not those of a fresh one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from pydantic import ValidationError

from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.registry import model_class

SMALL = {
    "dim": 8,
    "layers": [6, 8],
    "blocks": 1,
    "heads": 2,
    "max_length": 5,
    "hidden": [6],
    "feature_hidden": [6],
    "depth": 1,
    "head_dim": 4,
    "item_dim": 6,
    "long_length": 5,
    "experts": 3,
    "expert_hidden": 5,
}
"""Sizes that are taken wherever a configuration has a key of this name and accepts them."""


def tiny_recommender(name: str, dataset: InteractionDataset, **settings: Any) -> SequenceRecommender:
    """A registered model for a data set: counted, or with random weights in place of trained ones.

    Args:
        name: Registered name.
        dataset: The data.
        **settings: Settings of the architecture beyond `SMALL`.
    """
    cls = model_class(name)
    model: SequenceRecommender = cls.for_dataset(cls.config_class(**{**_accepted(name), **settings}), dataset, seed=3)
    if isinstance(model, CountingRecommender):
        model.fit_counts(dataset)
        return model
    random = np.random.default_rng(11)
    for weight in model.trainable_weights:  # also those that begin as zeros, as biases do
        weight.assign(random.normal(0.0, 0.4, weight.shape).astype(np.float32))
    memory = getattr(model, "memory", None)
    if memory is not None:  # no weight that is trained, but training fills it: every known user has one
        table = random.normal(0.0, 0.4, memory.vectors.shape).astype(np.float32)
        table[:FIRST_INDEX] = 0.0
        memory.vectors.assign(table)
    return model


@functools.cache
def _accepted(name: str) -> dict[str, Any]:
    cls = model_class(name).config_class
    chosen: dict[str, Any] = {}
    for key, value in SMALL.items():
        if key not in cls.model_fields:
            continue
        try:
            cls(**{**chosen, key: value})
        except ValidationError:
            continue
        chosen[key] = value
    return chosen
