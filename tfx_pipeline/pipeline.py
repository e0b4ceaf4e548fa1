"""All nodes of the pipeline in their order."""

from __future__ import annotations

from typing import Any

from tfx_pipeline.model_nodes import DataChannels, model_nodes
from tfx_pipeline.pipeline_settings import PipelineSettings

NAME = "tfrec"
"""Name of the pipeline: one for all models, so that a model is compared with the latest blessed one of any kind."""


def all_nodes(settings: PipelineSettings) -> list[Any]:
    """Returns the components of the pipeline.

    Args:
        settings: What they are told.
    """
    from tfx_pipeline.data_nodes import data_nodes

    nodes, channels = data_nodes(settings)
    return [*nodes, *model_nodes(settings, DataChannels(**channels))]
