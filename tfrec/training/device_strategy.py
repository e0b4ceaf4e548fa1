"""Which devices a model is trained on."""

from __future__ import annotations

import tensorflow as tf

from tfrec.config.run_config import RunConfig, SequenceRunConfig


def device_strategy(config: RunConfig) -> tf.distribute.Strategy:
    """Returns the strategy under which a model is built and trained.

    With `training.strategy=mirrored` every batch is divided among all GPUs (without a GPU, among all logical CPUs, of
    which there is one unless TensorFlow was told otherwise); gradients are summed before each step, so that a run on
    several devices computes what one device would, up to drop-out and sampled negatives.

    Args:
        config: Effective configuration.
    """
    if not isinstance(config, SequenceRunConfig) or config.training.strategy == "single":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
