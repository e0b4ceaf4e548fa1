"""Optimisers by name."""

from __future__ import annotations

import keras

from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad


def build_optimizer(config: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Returns a new optimiser.

    Args:
        config: Name and settings.
    """
    return RowSparseAdagrad(config.learning_rate, momentum=config.momentum, epsilon=config.epsilon)
