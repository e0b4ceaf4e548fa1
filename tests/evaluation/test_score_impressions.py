"""The logits of click models outside of training."""

from __future__ import annotations

import logging
from typing import Any

import tensorflow as tf

from tfrec.evaluation.score_impressions import logits_function


class Scaled:
    """A model with one weight."""

    def __init__(self, weight: float) -> None:
        self.weight, self.inference_graph = weight, None

    def logits_of_batch(self, batch: Any) -> tf.Tensor:
        return batch["x"] * self.weight


def test_many_models_are_traced_once_each_without_a_warning() -> None:
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    tf.get_logger().addHandler(handler)
    try:
        for weight in range(12):
            model: Any = Scaled(float(weight))
            predict = logits_function(model)
            for rows in (2, 3):  # batches of any size
                assert predict({"x": tf.ones(rows)}).numpy().tolist() == [float(weight)] * rows
            assert model.inference_graph.experimental_get_tracing_count() == 1
    finally:
        tf.get_logger().removeHandler(handler)
    assert messages == []
