"""Keras 2 metrics beside a Keras 3 model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class LegacyMetrics:
    """Reads and resets Keras 2 metrics, which a Keras 3 model does not see.

    Args:
        holders: Keras 2 metrics, or layers that hold some, such as `tfrs.metrics.FactorizedTopK`.

    Example:
        A Keras 3 model adds `task.metrics.results()` to what `train_step` returns, and calls `task.metrics.reset()` in
        its `reset_metrics`.
    """

    def __init__(self, holders: Sequence[Any]) -> None:
        self._holders = list(holders)

    def results(self) -> dict[str, tf.Tensor]:
        """Returns the value of every metric under its name."""
        return {metric.name: metric.result() for metric in self._leaves()}

    def reset(self) -> None:
        """Starts all metrics anew."""
        for metric in self._leaves():
            metric.reset_state()

    def _leaves(self) -> list[Any]:
        leaves: list[Any] = []
        for holder in self._holders:
            leaves += [holder] if hasattr(holder, "reset_state") else holder.metrics
        return leaves
