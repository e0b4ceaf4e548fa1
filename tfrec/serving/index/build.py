"""An index by the name of its kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.config.index_config import IndexConfig
from tfrec.errors import ConfigError, did_you_mean
from tfrec.serving.index.exact_index import ExactIndex
from tfrec.serving.index.ivf_index import IVFIndex
from tfrec.serving.index.scann_index import ScannIndex
from tfrec.serving.index.vector_index import VectorIndex

INDEX_KINDS = ("exact", "ivf", "scann")


def build_index(
    kind: str,
    vectors: npt.NDArray[np.float32] | tf.Tensor,
    bias: npt.NDArray[np.float32] | tf.Tensor | None = None,
    settings: IndexConfig | None = None,
    *,
    first_index: int = 0,
) -> VectorIndex:
    """Makes an index of item vectors.

    Args:
        kind: One of `INDEX_KINDS`.
        vectors: float32 `[n, dim]`; row r belongs to item index `first_index` + r.
        bias: float32 `[n]`. Default: none.
        settings: Settings of the kind. Default: the default ones.
        first_index: Item index of the first row. Default: 0.

    Returns:
        The index.

    Raises:
        ConfigError: The kind is unknown, or the vectors cannot be indexed.
    """
    settings = settings or IndexConfig()
    if kind == "exact":
        return ExactIndex(vectors, bias, first_index=first_index, chunk=settings.chunk)
    if kind == "ivf":
        return IVFIndex(
            vectors,
            bias,
            first_index=first_index,
            num_clusters=settings.num_clusters,
            num_probes=settings.num_probes,
            iterations=settings.iterations,
            sample_per_cluster=settings.sample_per_cluster,
            seed=settings.seed,
        )
    if kind == "scann":
        return ScannIndex(
            vectors,
            bias,
            first_index=first_index,
            num_leaves=settings.num_clusters,
            num_probes=settings.num_probes,
        )
    raise ConfigError(f"Unknown index `{kind}`.", remedy=did_you_mean(kind, INDEX_KINDS))
