"""Exact full-catalogue ranking: the one way in which tfrec measures next-item recommenders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.targets import target_positions
from tfrec.errors import ConfigError, TfrecError
from tfrec.evaluation.compiled_method import compiled_method
from tfrec.evaluation.ranking_metrics import DEFAULT_CUTOFFS, chance_metrics, check_cutoffs, ranking_metrics
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.evaluation.target_counts import TargetCounts, count_from_factors, count_from_scores, first_occurrences
from tfrec.evaluation.tie_rules import TieRule, check_tie_rule, ranks_from_counts

# Chunks of more rows do not get faster (256 rows keep the matrix near the cache), wide catalogues get fewer rows.
_MAX_CHUNK_ROWS = 256
DEFAULT_CHUNK_BYTES = 64 * 2**20

CountChunk = Callable[[slice, tf.Tensor, tf.Tensor], TargetCounts]


def evaluate_ranking(
    scorer: Scorer,
    batches: Iterable[Batch],
    *,
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    tie_rule: TieRule = "conservative",
    exclude_history: bool = False,
    candidates: Sequence[int] | NDArray[np.integer[Any]] | None = None,
    keep_ranks: bool = False,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
) -> RankingResult:
    """Ranks every target of `batches` among all items of the catalogue and averages the usual metrics.

    For each target, its score is compared with the score of every candidate, in chunks of targets so that memory
    does not grow with the data. Padding and the out-of-vocabulary index are never candidates. A target that is no
    candidate itself (out of vocabulary, or outside `candidates`) counts as a miss at every cut-off and is reported in
    `num_unknown_targets`.

    Args:
        scorer: What to evaluate; the factorised form (see `Scorer`) is the fast one. Keras models are traced as graphs.
        batches: Batches of `sequence_dataset` for one split.
        cutoffs: Cut-offs of the metrics. Default: 1, 5, 10, 20.
        tie_rule: `standard`, `conservative` or `median`. Default: conservative, as in every published number.
        exclude_history: Items seen earlier in the sequence are no candidates. A target that was itself seen before
            stays a candidate, so a repeated item is ranked among the unseen ones. Default: false.
        candidates: Item indices that compete, instead of the whole catalogue. Default: all.
        keep_ranks: Keep the rank of every target in the result, for bootstrap intervals. Default: false.
        chunk_bytes: Upper limit of one matrix of scores. Default: 64 MiB.

    Returns:
        Metrics, the chance level under the same protocol and the counts.

    Raises:
        ConfigError: A cut-off, the tie rule or the candidates are not valid.
        TfrecError: A score is not a number, the scores have the wrong shape, or no batch has a target.

    Example:
        >>> evaluate_ranking(model, sequence_dataset(ds, "test", 256), cutoffs=[20]).metrics  # doctest: +SKIP
        {'recall@20': 0.68, 'mrr@20': 0.35, 'ndcg@20': 0.42, 'hit@20': 0.68}

    Reference:
        Hidasi and Czapp, "Widespread flaws in offline evaluation of recommender systems", RecSys 2023.
    """
    check_cutoffs(cutoffs)
    check_tie_rule(tie_rule)
    started = time.perf_counter()
    catalogue = _Catalogue(scorer.vocab_size, candidates)
    chunk_rows = int(np.clip(chunk_bytes // (4 * scorer.vocab_size), 1, _MAX_CHUNK_ROWS))
    factors = _item_factors(scorer, catalogue)
    represent = compiled_method(scorer, "score_targets" if factors is None else "encode_targets")
    max_targets = max(1, chunk_bytes // (4 * scorer.vocab_size)) if factors is None else None
    ranks: list[NDArray[np.float64]] = []
    competitors: list[NDArray[np.int64]] = []
    num_sequences = 0
    for batch in _limited(batches, max_targets):
        query, target = target_positions(batch)  # [targets, 2], [targets]
        num_targets = int(tf.shape(target)[0])
        if num_targets == 0:
            continue
        num_sequences += int(tf.math.count_nonzero(batch["num_targets"]))
        column = catalogue.columns(target)  # [targets]
        items = first_occurrences(tf.cast(batch["item"], tf.int32)) if exclude_history else None  # [batch, seq]
        count = _chunk_counter(represent(batch), factors, catalogue, num_targets)
        for start in range(0, num_targets, chunk_rows):
            rows = slice(start, start + chunk_rows)
            seen = _seen_columns(items, query[rows], column[rows], catalogue)  # [chunk, any]
            counts = count(rows, column[rows], seen)
            _reject_not_a_number(int(counts.num_not_a_number), sum(part.size for part in ranks))
            known = column[rows].numpy() >= 2  # [chunk]
            rank = ranks_from_counts(counts.greater.numpy(), counts.greater_equal.numpy(), tie_rule)
            ranks.append(np.where(known, rank, np.inf))
            competitors.append(np.where(known, counts.candidates.numpy(), 0).astype(np.int64))
    if not ranks:
        raise TfrecError(
            "There is nothing to evaluate: no sequence has a target.",
            remedy="Check the split: `num_targets` of its sequences is 0 everywhere, or it is empty.",
        )
    all_ranks = np.concatenate(ranks)
    return RankingResult(
        metrics=ranking_metrics(all_ranks, cutoffs),
        chance=chance_metrics(np.concatenate(competitors), cutoffs),
        num_targets=all_ranks.size,
        num_sequences=num_sequences,
        num_candidates=catalogue.num_candidates,
        tie_rule=tie_rule,
        protocol=("full" if candidates is None else "subset") + (", history excluded" if exclude_history else ""),
        num_unknown_targets=int(np.isinf(all_ranks).sum()),
        seconds=time.perf_counter() - started,
        ranks=all_ranks if keep_ranks else None,
    )


class _Catalogue:
    """The columns that compete: all item indices, or padding, out of vocabulary and a subset."""

    def __init__(self, vocab_size: int, candidates: Sequence[int] | NDArray[np.integer[Any]] | None) -> None:
        self.vocab_size = vocab_size
        self.selected: tf.Tensor | None = None
        lookup = np.arange(vocab_size, dtype=np.int32)
        self.num_candidates = vocab_size - 2
        if candidates is not None:
            chosen = np.unique(np.asarray(candidates, dtype=np.int64))
            if chosen.size == 0 or chosen[0] < 2 or chosen[-1] >= vocab_size:
                raise ConfigError(
                    f"`candidates` has {chosen.size} distinct items"
                    + (f" from {chosen[0]} to {chosen[-1]}." if chosen.size else "."),
                    remedy=f"Give item indices from 2 to {vocab_size - 1}.",
                )
            columns = np.concatenate([[0, 1], chosen]).astype(np.int32)
            self.selected = tf.constant(columns)
            lookup = np.zeros(vocab_size, dtype=np.int32)
            lookup[columns] = np.arange(columns.size, dtype=np.int32)
            self.num_candidates = int(chosen.size)
        self._lookup = tf.constant(lookup)

    def columns(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the column of each item, below 2 for those that are no candidates."""
        if self.selected is None:
            return tf.cast(items, tf.int32)
        return tf.gather(self._lookup, items)


def _item_factors(scorer: Scorer, catalogue: _Catalogue) -> tuple[tf.Tensor, tf.Tensor | None] | None:
    if not (hasattr(scorer, "encode_targets") and hasattr(scorer, "item_table")):
        return None
    table, bias = scorer.item_table()
    if catalogue.selected is None:
        return tf.convert_to_tensor(table), None if bias is None else tf.convert_to_tensor(bias)
    return (
        tf.gather(table, catalogue.selected),
        None if bias is None else tf.gather(bias, catalogue.selected),
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


def _chunk_counter(
    represented: tf.Tensor,
    factors: tuple[tf.Tensor, tf.Tensor | None] | None,
    catalogue: _Catalogue,
    num_targets: int,
) -> CountChunk:
    if factors is not None:
        table, bias = factors
        encodings = tf.convert_to_tensor(represented)  # [targets, dim]
        _check_shape("encode_targets", encodings, (num_targets, int(table.shape[1])))
        return lambda rows, column, seen: count_from_factors(encodings[rows], table, bias, column, seen)
    scores = tf.convert_to_tensor(represented)  # [targets, vocab]
    _check_shape("score_targets", scores, (num_targets, catalogue.vocab_size))
    if catalogue.selected is None:
        return lambda rows, column, seen: count_from_scores(scores[rows], column, seen)
    selected = tf.gather(scores, catalogue.selected, axis=1)  # [targets, columns]
    return lambda rows, column, seen: count_from_scores(selected[rows], column, seen)


def _seen_columns(items: tf.Tensor | None, query: tf.Tensor, column: tf.Tensor, catalogue: _Catalogue) -> tf.Tensor:
    if items is None:
        return tf.zeros([tf.shape(column)[0], 0], tf.int32)
    history = catalogue.columns(tf.gather(items, query[:, 0]))  # [chunk, seq]
    known = tf.range(tf.shape(items)[1]) <= query[:, 1:]  # [chunk, seq]
    return tf.where(known & tf.not_equal(history, column[:, tf.newaxis]), history, 0)  # [chunk, seq]


def _check_shape(method: str, tensor: tf.Tensor, expected: tuple[int, int]) -> None:
    if tuple(tensor.shape) != expected:
        raise TfrecError(
            f"`{method}` returned shape {tuple(tensor.shape)}, expected {expected}.",
            remedy="The first axis is one row per target of the batch, in the order of `target_positions`.",
        )


def _reject_not_a_number(rows: int, first: int) -> None:
    if rows:
        raise TfrecError(
            f"{rows} targets starting from target {first + 1} have a score that is not a number.",
            remedy="The model has diverged or is damaged; such scores cannot be ranked.",
        )
