"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfrec.config.optimizer_config import OptimizerConfig, SequenceOptimizerConfig
from tfrec.optimizers.row_sparse_adadelta import RowSparseAdadelta
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.optimizers.row_sparse_loss_scale import RowSparseLossScale
from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer
from tfrec.optimizers.row_sparse_rmsprop import RowSparseRMSprop
from tfrec.optimizers.schedules import WarmUpDecay


def build_sequence_optimizer(
    config: SequenceOptimizerConfig,
    variables: Sequence[keras.Variable],
    total_steps: int,
    *,
    precision: str = "float32",
) -> RowSparseOptimizer | RowSparseLossScale:
    """Returns an optimiser, built for its variables: row-sparse for tables, with weight decay for dense kernels.

    Args:
        config: Name and settings.
        variables: What will be trained; only those whose name ends in `kernel` decay.
        total_steps: Steps of the whole run, the length of the schedule.
        precision: Policy of the model. With `mixed_float16` the loss is scaled, see `RowSparseLossScale`; Keras would
            wrap the optimiser by itself, but without building the wrapper, whose state a resumed run needs.
    """
    optimizer = build_optimizer(config)
    optimizer.row_l2 = config.embedding_l2
    warmup_steps = config.warmup_steps or round(config.warmup_share * total_steps)
    if config.schedule != "constant" or warmup_steps:
        optimizer.learning_rate = WarmUpDecay(
            config.learning_rate, config.schedule, warmup_steps=warmup_steps, total_steps=total_steps
        )
    if config.weight_decay:
        optimizer.weight_decay = config.weight_decay
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if not v.name.endswith("kernel")])
    optimizer.build(list(variables))
    if precision != "mixed_float16":
        return optimizer
    scaled = RowSparseLossScale(optimizer)
    scaled.build(list(variables))
    return scaled


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
