"""Validation of a stage that begins with the weights of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.training.stage_validation import StageValidation


class Scripted(StageValidation):
    """Measures what it is told to; `values` are used up one by one."""

    values: list[float]

    def measured(self, logs: dict[str, Any] | None) -> float:
        return self.values.pop(0)


@pytest.mark.parametrize(
    ("from_start", "values", "best", "kept"),
    [
        (True, [0.5, 0.4, 0.3], 0, 0.0),  # no epoch is better than what the stage began with
        (True, [0.5, 0.4, 0.6], 2, 2.0),
        (False, [0.4, 0.3], 1, 1.0),
    ],
)
def test_the_weights_before_the_first_step_are_kept_when_no_epoch_is_better(
    tmp_path: Path, from_start: bool, values: list[float], best: int, kept: float
) -> None:
    model: Any = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.build((None, 1))
    validation = Scripted(
        None,
        EvaluationConfig(),
        tmp_path / "best",
        Console(quiet=True),
        monitor="mrr@10",
        patience=5,
        scorer=model,
        from_start=from_start,
    )
    validation.values = list(values)
    validation.set_model(model)
    validation.on_train_begin()
    for epoch in range(2):
        model.weights[0].assign([[epoch + 1.0]])
        validation.on_epoch_end(epoch, {})
    assert not validation.values
    assert (validation.best, validation.best_epoch) == (max(values), best)
    validation.load_best(model)
    np.testing.assert_array_equal(model.weights[0].numpy(), [[kept]])
