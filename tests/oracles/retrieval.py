"""What `tfrs.tasks.Retrieval` computes, in numpy: one query after the other, one negative after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def retrieval_losses(
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    temperature: float = 1.0,
    probability: np.ndarray | None = None,
    ids: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    hard_negatives: int | None = None,
) -> list[float]:
    """Loss of each query, whose positive is the candidate of the same number.

    `ids` given means that other copies of the positive are left out; `mask` false leaves a negative out.
    """
    losses = []
    for number, query in enumerate(queries):
        scores = [float(query @ candidate) / temperature for candidate in candidates]
        if probability is not None:
            scores = [score - math.log(share) for score, share in zip(scores, probability, strict=True)]
        negatives: list[Any] = []
        for other, score in enumerate(scores):
            copy = ids is not None and ids[other] == ids[number]
            hidden = mask is not None and not mask[number][other]
            if other != number and not copy and not hidden:
                negatives.append(score)
        if hard_negatives is not None:
            negatives = sorted(negatives, reverse=True)[:hard_negatives]
        total = sum(math.exp(score) for score in [scores[number], *negatives])
        losses.append(math.log(total) - scores[number])
    return losses
