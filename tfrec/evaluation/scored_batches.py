"""Batches with their targets and what a scorer makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrec.data.targets import target_positions
from tfrec.errors import TfrecError
from tfrec.evaluation.compiled_method import compiled_method
from tfrec.evaluation.scorer import Batch, Scorer

Factors = tuple[tf.Tensor, tf.Tensor | None]


@dataclass(frozen=True)
class ScoredBatch:
    """One batch that has targets.

    Args:
        batch: The batch.
        query: (row, position) of the last known event of every target, int32 `[targets, 2]`.
        target: Item indices, int32 `[targets]`.
        represented: States `[targets, dim]` of a factorised scorer, else scores `[targets, vocab]`.
    """

    batch: Batch
    query: tf.Tensor
    target: tf.Tensor
    represented: tf.Tensor


def item_factors(scorer: Scorer) -> Factors | None:
    """Returns item vectors `[vocab, dim]` and biases `[vocab]` (or None) of a factorised scorer, None of another."""
    if not (hasattr(scorer, "encode_targets") and hasattr(scorer, "item_table")):
        return None
    table, bias = scorer.item_table()
    return tf.convert_to_tensor(table), None if bias is None else tf.convert_to_tensor(bias)


def scored_batches(
    scorer: Scorer, batches: Iterable[Batch], factors: Factors | None, chunk_bytes: int
) -> Iterator[ScoredBatch]:
    """Asks a scorer for every target.

    Args:
        scorer: The scorer. Keras models are traced as graphs.
        batches: Batches of `sequence_dataset`; those without a target are passed over.
        factors: What `item_factors` returned.
        chunk_bytes: Upper limit of a matrix of scores; batches are cut by sequences to stay below.

    Yields:
        One item per batch or part of a batch.

    Raises:
        TfrecError: The scorer returned a wrong shape, or no batch had a target.
    """
    method = "score_targets" if factors is None else "encode_targets"
    width = scorer.vocab_size if factors is None else int(factors[0].shape[1])
    represent = compiled_method(scorer, method)
    nothing = True
    for batch in _limited(batches, max(1, chunk_bytes // (4 * scorer.vocab_size)) if factors is None else None):
        query, target = target_positions(batch)  # [targets, 2], [targets]
        if not int(tf.shape(target)[0]):
            continue
        nothing = False
        represented = tf.convert_to_tensor(represent(batch))  # [targets, dim] or [targets, vocab]
        _check_shape(method, represented, (int(tf.shape(target)[0]), width))
        yield ScoredBatch(batch, query, target, represented)
    if nothing:
        raise TfrecError(
            "There is nothing to evaluate: no sequence has a target.",
            remedy="Check the split: `num_targets` of its sequences is 0 everywhere, or it is empty.",
        )


def reject_unfit(rows: int, first: int) -> None:
    """Raises TfrecError when there are rows with a score that cannot be ranked.

    Minus infinity is accepted: it is how a model says that an item is no candidate.

    Args:
        rows: Number of such rows.
        first: Number of the first target of the chunk, from 0.
    """
    if rows:
        raise TfrecError(
            f"{rows} targets starting from target {first + 1} have a score that is not a number or is plus infinity.",
            remedy="The model has diverged or is damaged; such scores cannot be ranked.",
        )


def _limited(batches: Iterable[Batch], max_targets: int | None) -> Iterator[Batch]:
    """Yields the batches, cut into groups of sequences with at most `max_targets` targets (at least one sequence)."""
    for batch in batches:
        if max_targets is None:
            yield batch
            continue
        totals = np.cumsum(np.asarray(batch["num_targets"], dtype=np.int64))
        start = 0
        while start < totals.size:
            before = totals[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(totals, before + max_targets, side="right")))
            yield batch if stop - start == totals.size else {key: value[start:stop] for key, value in batch.items()}
            start = stop


def _check_shape(method: str, tensor: tf.Tensor, expected: tuple[int, int]) -> None:
    if tuple(tensor.shape) != expected:
        raise TfrecError(
            f"`{method}` returned shape {tuple(tensor.shape)}, expected {expected}.",
            remedy="The first axis is one row per target of the batch, in the order of `target_positions`.",
        )
