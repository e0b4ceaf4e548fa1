"""Validation of click models: a sum of metrics, and a smaller step size when it does not improve."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec.config.impression_run_configs import ImpressionTrainingConfig, monitor_terms
from tfrec.errors import TrainingError
from tfrec.evaluation.click_metrics import click_metrics, group_auc
from tfrec.evaluation.score_impressions import score_impressions
from tfrec.training.validation import SPLIT, Validation

_DIGITS = 6


class ImpressionValidation(Validation):
    """Measures the validation split after every epoch.

    Without an improvement of at least 0.000001 the step size is multiplied by `plateau_factor`, down to a floor.

    Args:
        training: Settings of monitor and plateau.
        *args, **kwargs: Those of `Validation`.

    Raises:
        TrainingError: The monitor is not a number, as AUC is not without clicks.

    Reference: the training loop of FuxiCTR, which FESeq uses.
    """

    def __init__(self, *args: Any, training: ImpressionTrainingConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.training = training

    def measured(self, logs: dict[str, Any] | None) -> float:
        dataset: Any = self.dataset
        settings: Any = self.settings
        model: Any = self.model
        group = [settings.group] if settings.group else []
        scored = score_impressions(model, dataset, SPLIT, settings.batch_size, columns=group)
        metrics = click_metrics(scored.labels, scored.logits)
        terms = monitor_terms(self.monitor)
        if group:
            metrics["gauc"] = group_auc(scored.labels, scored.logits, scored.columns[group[0]])
        if logs is not None:
            logs.update({f"{SPLIT}_{name}": metrics[name] for name in ("auc", "logloss", "ap", "score")})
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        value = sum(factor * metrics.get(name, float("nan")) for factor, name in terms)
        if not np.isfinite(value):
            raise TrainingError(
                f"`training.monitor={self.monitor}` is not a number on the split `{SPLIT}`.",
                remedy="It needs clicks and other rows there, gauc a group with both: validate with more rows, or set "
                "`training.monitor=-logloss` or `training.patience=0`.",
            )
        return round(value, _DIGITS)

    def judged(self, better: bool) -> None:
        rate = self.model.optimizer.learning_rate
        if better or self.training.plateau_factor == 1.0 or not hasattr(rate, "assign"):
            return
        now = float(np.asarray(rate))
        rate.assign(max(now * self.training.plateau_factor, min(self.training.min_learning_rate, now)))
        self.console.print(f"  Step size {float(np.asarray(rate)):g} from here on.", markup=False)
