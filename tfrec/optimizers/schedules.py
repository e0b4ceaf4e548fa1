"""Courses of the step size over a training run."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class WarmUpDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then stays there or falls to 0 in the last step.

    Step s of N with W warm-up steps has the factor `(s + 1) / W` for s < W; after that, with
    `p = (s - W + 1) / (N - W)` clipped to 1: 1 (constant), `1 - p` (linear) or `(1 + cos(pi p)) / 2` (cosine). A single
    arc over the whole run, so the step size never rises again.

    Args:
        peak: Largest step size.
        kind: `constant`, `linear` or `cosine`.
        warmup_steps: W.
        total_steps: N.

    Reference: arXiv 1608.03983 without restarts.
    """

    def __init__(self, peak: float, kind: str, *, warmup_steps: int, total_steps: int) -> None:
        super().__init__()
        self.peak = peak
        self.kind = kind
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the step size of a step counted from 0, float32 scalar."""
        number = tf.cast(step, tf.float32)
        warm = (number + 1.0) / max(self.warmup_steps, 1)
        share = (number - self.warmup_steps + 1.0) / max(self.total_steps - self.warmup_steps, 1)
        share = tf.clip_by_value(share, 0.0, 1.0)
        after = {
            "constant": tf.ones_like(share),
            "linear": 1.0 - share,
            "cosine": 0.5 * (1.0 + tf.cos(math.pi * share)),
        }[self.kind]
        return self.peak * tf.where(number < self.warmup_steps, warm, after)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "kind": self.kind,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }
