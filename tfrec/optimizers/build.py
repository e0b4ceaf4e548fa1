"""Optimisers by name."""

from __future__ import annotations

from typing import Any

from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.optimizers.row_sparse_adadelta import RowSparseAdadelta
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer
from tfrec.optimizers.row_sparse_rmsprop import RowSparseRMSprop


def build_optimizer(config: OptimizerConfig) -> RowSparseOptimizer:
    """Returns a new optimiser.

    Args:
        config: Name and settings; those that are None take the optimiser's own default.
    """
    settings: dict[str, Any] = {"momentum": config.momentum, "l2": config.l2, "gradient_cap": config.gradient_cap}
    if config.epsilon is not None:
        settings["epsilon"] = config.epsilon
    match config.name:
        case "adagrad":
            return RowSparseAdagrad(config.learning_rate, **settings)
        case "rmsprop":
            return RowSparseRMSprop(config.learning_rate, **settings, **config.averaging("decay"))
        case "adadelta":
            return RowSparseAdadelta(config.learning_rate, **settings, **config.averaging("decay"))
        case "adam":
            return RowSparseAdam(config.learning_rate, **settings, **config.averaging("beta_1", "beta_2"))
