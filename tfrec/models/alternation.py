"""Which of two branches is trained in a step."""

from __future__ import annotations

import tensorflow as tf

from tfrec.config.stages_config import JointStageConfig


class Alternation:
    """Two branches take turns: step by step, or when the loss of one no longer changes.

    With `adaptive`, the losses of the last `window` steps of a turn are halved: once the means of both halves differ by
    less than `tolerance` of the older one, and after `least_steps` at least, the other branch takes over.

    Args:
        settings: Kind and bounds.
    """

    def __init__(self, settings: JointStageConfig) -> None:
        self.settings = settings
        self.second = tf.Variable(False, trainable=False, name="second_branch")
        self.steps = tf.Variable(0, dtype=tf.int32, trainable=False, name="steps_of_turn")
        self.losses = tf.Variable(tf.zeros([settings.window]), trainable=False, name="losses_of_turn")  # latest last

    @property
    def state(self) -> list[tf.Variable]:
        """Variables that a resumed run needs."""
        return [self.second, self.steps, self.losses]

    def record(self, loss: tf.Tensor) -> None:
        """Takes the loss of the step of the branch whose turn it is, a scalar; may pass the turn on."""
        settings = self.settings
        losses = tf.concat([self.losses[1:], [loss]], axis=0)
        steps = self.steps + 1
        if settings.alternate == "parity":
            over = tf.constant(True)
        else:
            known = tf.minimum(steps, settings.window)
            half = known // 2
            newer = tf.reduce_mean(losses[settings.window - half :])
            older = tf.reduce_mean(losses[settings.window - known : settings.window - half])
            over = (steps >= settings.least_steps) & (known > 1)
            over &= tf.abs(newer - older) < settings.tolerance * tf.abs(older)
        self.second.assign(tf.not_equal(self.second, over))
        self.steps.assign(tf.where(over, 0, steps))
        self.losses.assign(losses)
