"""The item side of a sequence encoder, a table of vectors or a tower over what is known of them; users share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tfrec.config.item_inputs_config import ItemInputsConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_features import ItemFeatures
from tfrec.data.item_vectors import read_item_vectors
from tfrec.layers.item_table import ItemTable
from tfrec.layers.item_tower import FeatureShape, ItemTower
from tfrec.seeds import derive_seed


def build_table(
    config: Any,
    rows: int,
    features: Mapping[str, FeatureShape] | None,
    *,
    name: str,
    use_ids: bool = True,
    use_bias: bool = False,
    always_tower: bool = False,
    seed: int,
    dtype: Any,
) -> ItemTable | ItemTower:
    """Returns the items or the users of a model whose configuration is an `ItemInputsConfig` with `dim`, `init_stddev`.

    Args:
        config: The configuration.
        rows: Number of indices.
        features: Shape of every feature; none makes a plain table.
        name: `items` or `users`.
        use_ids: Whether each has a vector of its own besides its features.
        use_bias: Add a bias per row; only of a table.
        always_tower: Make a tower without features, too: rows without training events are then zeros.
        seed: Seed of the model.
        dtype: Precision policy.
    """
    seed = derive_seed(seed, name)
    if features or always_tower:
        return ItemTower(
            rows,
            config.dim,
            features=features or {},
            feature_dim=config.feature_dim,
            hidden=config.feature_hidden,
            use_ids=use_ids,
            id_dropout=config.id_dropout,
            init_stddev=config.init_stddev,
            seed=seed,
            name=name,
            dtype=dtype,
        )
    table = ItemTable(
        rows,
        config.dim,
        use_bias=use_bias,
        bound=config.init_stddev,
        normal=True,
        seed=seed,
        name=name,
        dtype=dtype,
    )
    table.build()
    return table


def item_shapes(config: ItemInputsConfig, dataset: InteractionDataset) -> dict[str, FeatureShape]:
    """Returns the shape of every input that a configuration asks for and a dataset has."""
    shapes: dict[str, FeatureShape] = {}
    if config.item_features and dataset.has_item_features:
        shapes |= feature_shapes(dataset.item_features())
    for name in config.item_vectors:
        width = int(read_item_vectors(dataset, name).shape[1])
        shapes[f"vectors_{name}"] = FeatureShape(kind="vector", values=0, width=width)
    return shapes


def item_tensors(names: Sequence[str], dataset: InteractionDataset) -> dict[str, NDArray[Any]]:
    """Returns the inputs of these names, one row per item index."""
    vectors = {name: name.removeprefix("vectors_") for name in names if name.startswith("vectors_")}
    tensors: dict[str, NDArray[Any]] = {}
    if len(vectors) < len(names):
        tensors |= dataset.item_features().as_tensors()
    for name, stored in vectors.items():
        tensors[name] = read_item_vectors(dataset, stored)
    return tensors


def feature_shapes(features: ItemFeatures) -> dict[str, FeatureShape]:
    """Returns the shape of every side feature."""
    sizes = features.vocabulary_sizes
    return {
        **{name: FeatureShape(kind="category", values=sizes[name], width=1) for name in features.categories},
        **{
            name: FeatureShape(kind="list", values=sizes[name], width=rows.padded().shape[1])
            for name, rows in features.lists.items()
        },
        **{name: FeatureShape(kind="number", values=0, width=1) for name in features.numbers},
    }
