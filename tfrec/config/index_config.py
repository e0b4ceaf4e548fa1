"""How served models search their items."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class IndexConfig(StrictModel):
    """Index over the item vectors inside a SavedModel."""

    kind: Literal["exact", "ivf", "scann"] = Field(
        "exact",
        description="exact: all items; ivf: the items of the nearest clusters; scann: outside TF Serving only.",
    )
    chunk: int = Field(1 << 20, ge=128, description="exact: items that are scored together, at most.")
    num_clusters: int | None = Field(
        None, ge=1, description="ivf: clusters of items. Default: the square root of the number of items."
    )
    num_probes: int = Field(8, ge=1, description="ivf, scann: clusters searched per query; more find more.")
    iterations: int = Field(10, ge=1, description="ivf: rounds of k-means.")
    sample_per_cluster: int = Field(64, ge=1, description="ivf: items per cluster that k-means learns from.")
    seed: int = Field(0, ge=0, description="ivf: fixes the clusters.")
