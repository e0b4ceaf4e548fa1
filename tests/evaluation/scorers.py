"""Scorers that hand out given scores, row after row."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class FixedScorer:
    """Scores row after row from a matrix, whatever the batch holds."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores.astype(np.float32)
        self.vocab_size = scores.shape[1]
        self.position = 0

    def score_targets(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        rows = int(tf.reduce_sum(batch["num_targets"]))
        self.position += rows
        return tf.constant(self.scores[self.position - rows : self.position])


class FactorScorer(FixedScorer):
    """The same interface in factorised form: scores = encodings . table^T + bias."""

    def __init__(self, encodings: np.ndarray, table: np.ndarray, bias: np.ndarray | None) -> None:
        self.encodings = encodings.astype(np.float32)
        self.table = table.astype(np.float32)
        self.bias = None if bias is None else bias.astype(np.float32)
        self.vocab_size = table.shape[0]
        self.position = 0

    def encode_targets(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        rows = int(tf.reduce_sum(batch["num_targets"]))
        self.position += rows
        return tf.constant(self.encodings[self.position - rows : self.position])

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        return tf.constant(self.table), None if self.bias is None else tf.constant(self.bias)

    def score_targets(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        raise AssertionError("the factorised path must not ask for the scores")
