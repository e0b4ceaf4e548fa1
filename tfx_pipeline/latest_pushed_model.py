"""Which model a new one must not be worse than."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.common.resolver import ResolverStrategy

MODEL, PUSHED_MODEL = "model", "pushed_model"
MODEL_ID = "pushed_model_id"
"""Custom property of a pushed model: the id of the model that it is a copy of."""


class LatestPushedModelStrategy(ResolverStrategy):  # type: ignore[misc]
    """Resolves the model that was pushed last; nothing before the first push.

    Differences from TFX's `LatestBlessedModelStrategy`: that one asks the Evaluator alone, so that a model that failed
    the replay of golden requests, and was never served, would be what the next one is held against.
    """

    def resolve_artifacts(self, store: Any, input_dict: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Returns at most one artifact each of `model` and `pushed_model`.

        Args:
            store: The metadata; not asked.
            input_dict: All models and all that was pushed, by these two names.
        """
        del store
        models = {model.id: model for model in input_dict[MODEL]}
        for pushed in sorted(input_dict[PUSHED_MODEL], key=lambda artifact: artifact.id, reverse=True):
            model = models.get(pushed.get_int_custom_property(MODEL_ID))
            if model is not None and pushed.get_int_custom_property("pushed") == 1:
                return {MODEL: [model], PUSHED_MODEL: [pushed]}
        return {MODEL: [], PUSHED_MODEL: []}
