"""A model without some of its parts, as the evaluation sees it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.evaluation.compiled_method import compiled_method
from tfrec.evaluation.scorer import Batch


class BranchScorer:
    """Scores all items by one method of a model.

    Args:
        model: The model.
        method: Name of a method that scores as `score_targets` does.
    """

    def __init__(self, model: Any, method: str) -> None:
        self.model = model
        self.method = method

    @property
    def vocab_size(self) -> int:
        """Number of item indices, padding (0) and out-of-vocabulary (1) included."""
        return int(self.model.vocab_size)

    def score_targets(self, batch: Batch) -> tf.Tensor:
        """Returns the scores of all items for every target of a batch, float32 `[targets, vocab_size]`."""
        return compiled_method(self.model, self.method)(batch)
