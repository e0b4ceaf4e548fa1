"""What the Evaluator calls: `custom_extractors`."""

from __future__ import annotations

from typing import Any

import tensorflow_model_analysis as tfma

from tfx_pipeline.target_extracts import TargetExtractor
from tfx_pipeline.target_metrics import cold_history


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns the extractors of ranking models: raw examples, ranks, targets, slices.

    Args:
        eval_shared_model: One model or several.
        eval_config: From `evaluator_config`, completed by the Evaluator.
        tensor_adapter_config: Not used: examples go into the models as they are.
    """
    del tensor_adapter_config
    candidate = next((spec.name for spec in eval_config.model_specs if not spec.is_baseline), "")
    return [
        tfma.extractors.FeaturesExtractor(eval_config=eval_config),
        tfma.extractors.PredictionsExtractor(eval_config=eval_config, eval_shared_model=eval_shared_model),
        TargetExtractor(candidate, cold_history(eval_config)),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]
