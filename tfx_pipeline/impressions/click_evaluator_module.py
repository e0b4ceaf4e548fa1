"""What the Evaluator of click models calls: `custom_extractors`."""

from __future__ import annotations

from typing import Any

import tensorflow_model_analysis as tfma

from tfx_pipeline.impressions.click_extracts import ClickExtractor, RowExtractor


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns the extractors of click models: raw examples, predictions, slices.

    Args:
        eval_shared_model: One model or several.
        eval_config: From `click_evaluator_config`, completed by the Evaluator.
        tensor_adapter_config: Not used: examples go into the models as they are.
    """
    del tensor_adapter_config
    label = eval_config.model_specs[0].label_key
    slices = [key for spec in eval_config.slicing_specs for key in spec.feature_keys]
    return [
        RowExtractor(label, slices),
        tfma.extractors.PredictionsExtractor(eval_config=eval_config, eval_shared_model=eval_shared_model),
        ClickExtractor(label, slices),
    ]
