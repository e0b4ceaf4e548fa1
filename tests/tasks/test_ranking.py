"""The ranking task: equal to TFRS on Keras 2, and to arithmetic."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.compat import legacy_keras
from tfrec.errors import ConfigError
from tfrec.tasks.ranking import RankingTask

RANDOM = np.random.default_rng(3)
INPUTS = RANDOM.normal(size=(3, 8, 5)).astype(np.float32)  # three batches
KERNEL = RANDOM.normal(size=(5, 1)).astype(np.float32)
RATINGS = RANDOM.integers(1, 6, size=(3, 8, 1)).astype(np.float32)
CLICKS = (RATINGS > 3).astype(np.float32)
WEIGHT = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0], np.float32)


class LegacyRanker(tfrs.Model):
    """TFRS as its users write it."""

    def __init__(self, loss: object) -> None:
        super().__init__()
        self.tower = legacy_keras().layers.Dense(1, use_bias=False)
        self.task = tfrs.tasks.Ranking(loss=loss)

    def compute_loss(self, inputs: dict, training: bool = False) -> tf.Tensor:
        return self.task(labels=inputs["label"], predictions=self.tower(inputs["input"]), sample_weight=WEIGHT)


class Ranker(keras.Model):
    """The same on Keras 3."""

    def __init__(self, loss: str) -> None:
        super().__init__()
        self.tower = keras.layers.Dense(1, use_bias=False)
        self.task = RankingTask(loss, metrics=[legacy_keras().metrics.AUC(name="auc")])

    def train_step(self, inputs: dict) -> dict:
        with tf.GradientTape() as tape:
            loss = self.task(inputs["label"], self.tower(inputs["input"]), sample_weight=WEIGHT)
        gradients = tape.gradient(loss, [variable.value for variable in self.trainable_variables])
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "mean-squared-error"])
def test_three_steps_of_fit_equal_three_steps_of_tfrs_on_keras_2(loss: str) -> None:
    losses = legacy_keras().losses
    clicks = loss == "binary-cross-entropy"
    legacy = LegacyRanker(losses.BinaryCrossentropy(from_logits=True) if clicks else losses.MeanSquaredError())
    ours = Ranker(loss)
    for model in (legacy, ours):
        model.tower.build((None, 5))
        model.tower.set_weights([KERNEL])
    batches = tf.data.Dataset.from_tensor_slices({"input": INPUTS, "label": CLICKS if clicks else RATINGS / 5})
    legacy.compile(optimizer=legacy_keras().optimizers.SGD(0.1))
    legacy.fit(batches, epochs=1, verbose=0)
    ours.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    ours.fit(batches, epochs=1, verbose=0)
    np.testing.assert_allclose(ours.get_weights()[0], legacy.get_weights()[0], rtol=1e-5, atol=1e-6)
    assert np.abs(ours.get_weights()[0] - KERNEL).max() > 0.01


def test_losses_equal_arithmetic() -> None:
    logits, clicks, ratings = INPUTS[0] @ KERNEL, CLICKS[0], RATINGS[0]
    entropy = np.log1p(np.exp(-np.where(clicks == 1, logits, -logits)))[:, 0]  # -log sigmoid of the right sign
    np.testing.assert_allclose(RankingTask()(clicks, logits), entropy.mean(), rtol=1e-5)
    np.testing.assert_allclose(RankingTask(reduction="sum")(clicks, logits), entropy.sum(), rtol=1e-5)
    weighted = RankingTask(reduction="none")(clicks, logits, sample_weight=WEIGHT)
    np.testing.assert_allclose(weighted, entropy * WEIGHT, rtol=1e-5)
    squared = ((logits - ratings) ** 2)[:, 0]
    np.testing.assert_allclose(RankingTask("mean-squared-error")(ratings, logits), squared.mean(), rtol=1e-5)
    keras_2_loss = legacy_keras().losses.MeanAbsoluteError()
    np.testing.assert_allclose(RankingTask(keras_2_loss)(ratings, logits), np.abs(logits - ratings).mean(), rtol=1e-5)


def test_metrics_see_probabilities_and_can_be_reset() -> None:
    """Logits -4, -1, 2, 3 with labels 0, 1, 0, 1: of the four pairs of a 1 and a 0, three are in order, AUC 0.75.

    As probabilities they are 0.018, 0.269, 0.881, 0.953, mean 0.53; the labels' mean is 0.5.
    """
    metrics = legacy_keras().metrics
    task = RankingTask(
        metrics=[metrics.AUC(name="auc", num_thresholds=2000)],
        prediction_metrics=[metrics.Mean(name="prediction")],
        label_metrics=[metrics.Mean(name="label")],
    )
    labels, logits = tf.constant([[0.0], [1.0], [0.0], [1.0]]), tf.constant([[-4.0], [-1.0], [2.0], [3.0]])
    task(labels, logits, compute_metrics=False)
    assert float(task.metrics.results()["label"]) == 0.0
    task(labels, logits)
    results = {name: float(value) for name, value in task.metrics.results().items()}
    assert results["auc"] == pytest.approx(0.75, abs=1e-3)
    assert results["prediction"] == pytest.approx((0.01799 + 0.26894 + 0.88080 + 0.95257) / 4, abs=1e-4)
    assert results["label"] == 0.5
    task.metrics.reset()
    task(1.0 - labels, logits)
    assert float(task.metrics.results()["auc"]) == pytest.approx(0.25, abs=1e-3)


def test_ratings_reach_the_metrics_as_they_are() -> None:
    task = RankingTask("mean-squared-error", metrics=[legacy_keras().metrics.RootMeanSquaredError(name="rmse")])
    task(tf.constant([[5.0], [1.0]]), tf.constant([[2.0], [1.0]]))
    assert float(task.metrics.results()["rmse"]) == pytest.approx((9 / 2) ** 0.5)


@pytest.mark.parametrize("settings", [{"loss": "hinge"}, {"reduction": "average"}])
def test_wrong_settings(settings: dict) -> None:
    with pytest.raises(ConfigError, match="Known"):
        RankingTask(**settings)
