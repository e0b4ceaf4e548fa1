"""Exact full-catalogue ranking: the one way in which tfrec measures next-item recommenders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.evaluation.collapse_probe import CollapseProbe
from tfrec.evaluation.ranked_targets import TargetCollector
from tfrec.evaluation.ranking_metrics import DEFAULT_CUTOFFS, chance_metrics, check_cutoffs, ranking_metrics
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.scored_batches import Factors, item_factors, reject_unfit, scored_batches
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.evaluation.similarity import SimilarityHistogram
from tfrec.evaluation.target_counts import TargetCounts, count_from_factors, count_from_scores, first_occurrences
from tfrec.evaluation.tie_rules import TieRule, check_tie_rule
from tfrec.evaluation.top_lists import TopListCounter, list_cutoffs

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
    details: bool = False,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
) -> RankingResult:
    """Ranks every target of `batches` among all items of the catalogue and averages the usual metrics.

    For each target, its score is compared with the score of every candidate, in chunks of targets so that memory
    does not grow with the data. Padding and the out-of-vocabulary index are never candidates. A target that is no
    candidate itself (out of vocabulary, or outside `candidates`) counts as a miss at every cut-off and is reported in
    `num_unknown_targets`. A score that is NaN or plus infinity is an error, never a rank; minus infinity ranks last.

    Args:
        scorer: What to evaluate; the factorised form (see `Scorer`) is the fast one. Keras models are traced as graphs.
        batches: Batches of `sequence_dataset` for one split.
        cutoffs: Cut-offs of the metrics. Default: 1, 5, 10, 20.
        tie_rule: `standard`, `conservative` or `median`. Default: conservative, as in every published number.
        exclude_history: Items seen earlier in the sequence are no candidates. A target that was itself seen before
            stays a candidate, so a repeated item is ranked among the unseen ones. Default: false.
        candidates: Item indices that compete, each once, instead of the whole catalogue. Default: all.
        keep_ranks: Keep the counts of every target in the result, for bootstrap intervals. Default: false.
        details: Also keep top lists, the spread of the scores and, of a factorised scorer, similarities; implies
            `keep_ranks`. Default: false.
        chunk_bytes: Upper limit of one matrix of scores. Default: 64 MiB.

    Returns:
        Metrics, the chance level under the same protocol and the counts.

    Raises:
        ConfigError: A cut-off, the tie rule or the candidates are not valid.
        TfrecError: A score is not a number or plus infinity, the scores have the wrong shape, or no batch has a target.

    Example:
        >>> evaluate_ranking(model, sequence_dataset(ds, "test", 256), cutoffs=[20]).metrics  # doctest: +SKIP
        {'recall@20': 0.68, 'mrr@20': 0.35, 'ndcg@20': 0.42, 'hit@20': 0.68, 'mrr': 0.35, 'avg_rank': 101.2}

    Reference:
        Hidasi and Czapp, "Widespread flaws in offline evaluation of recommender systems", RecSys 2023.
    """
    check_cutoffs(cutoffs)
    check_tie_rule(tie_rule)
    started = time.perf_counter()
    catalogue = _Catalogue(scorer.vocab_size, candidates)
    chunk_rows = int(np.clip(chunk_bytes // (4 * scorer.vocab_size), 1, _MAX_CHUNK_ROWS))
    factors = item_factors(scorer)
    competing = catalogue.factors(factors)
    table_bound = _table_bound(competing)
    collector = TargetCollector()
    lists = TopListCounter(scorer.vocab_size, list_cutoffs(cutoffs, catalogue.num_candidates) if details else ())
    probe = CollapseProbe(competing, chunk_bytes) if details else None
    similarity = SimilarityHistogram(competing[0]) if details and competing is not None else None
    for scored in scored_batches(scorer, batches, factors, chunk_bytes):
        column = catalogue.columns(scored.target)  # [targets]
        items = first_occurrences(tf.cast(scored.batch["item"], tf.int32)) if exclude_history else None  # [batch, seq]
        rows_of = scored.represented if competing is not None else catalogue.select(scored.represented)
        if probe is not None:
            probe.add(rows_of)
        if similarity is not None:
            similarity.add(scored.represented, column)
        count = _chunk_counter(rows_of, competing, table_bound, lists.length)
        top: list[NDArray[np.int32]] = []
        first = collector.num_targets
        collector.add_batch(scored.batch, scored.query, scored.target)
        for start in range(0, collector.num_targets - first, chunk_rows):
            rows = slice(start, start + chunk_rows)
            seen = _seen_columns(items, scored.query[rows], column[rows], catalogue)  # [chunk, any]
            counts = count(rows, column[rows], seen)
            reject_unfit(int(counts.num_unfit), first + start)
            collector.add_counts(counts.greater, counts.greater_equal, counts.candidates, column[rows] >= 2)
            top.append(counts.top.numpy())
        if lists.length:
            lists.add(catalogue.items(np.concatenate(top)))
    targets = collector.targets()
    miss_rank = catalogue.num_candidates + 1.0
    return RankingResult(
        metrics=ranking_metrics(targets.ranks(tie_rule), cutoffs, miss_rank=miss_rank),
        chance=chance_metrics(targets.candidates, cutoffs, miss_rank=miss_rank),
        num_targets=len(targets),
        num_sequences=collector.num_sequences_with_targets,
        num_candidates=catalogue.num_candidates,
        tie_rule=tie_rule,
        protocol=("full" if candidates is None else "subset") + (", history excluded" if exclude_history else ""),
        num_unknown_targets=int((~targets.known).sum()),
        seconds=time.perf_counter() - started,
        targets=targets if keep_ranks or details else None,
        lists=lists.lists(),
        similarity=similarity.as_dict() if similarity is not None else None,
        scores=probe.as_dict() if probe is not None else None,
    )


class _Catalogue:
    """The columns that compete: all item indices, or padding, out of vocabulary and a subset."""

    def __init__(self, vocab_size: int, candidates: Sequence[int] | NDArray[np.integer[Any]] | None) -> None:
        self._columns: NDArray[np.int32] | None = None
        lookup = np.arange(vocab_size, dtype=np.int32)
        self.num_candidates = vocab_size - 2
        if candidates is not None:
            chosen, times = np.unique(np.asarray(candidates, dtype=np.int64), return_counts=True)
            if chosen.size == 0 or chosen[0] < 2 or chosen[-1] >= vocab_size:
                raise ConfigError(
                    f"`candidates` has {chosen.size} distinct items"
                    + (f" from {chosen[0]} to {chosen[-1]}." if chosen.size else "."),
                    remedy=f"Give item indices from 2 to {vocab_size - 1}.",
                )
            if times.max() > 1:
                raise ConfigError(
                    f"`candidates` has item {chosen[times > 1][0]} {times[times > 1][0]} times.",
                    remedy="Give each item once: a duplicate would push every target below it down twice.",
                )
            self._columns = np.concatenate([[0, 1], chosen]).astype(np.int32)
            lookup = np.zeros(vocab_size, dtype=np.int32)
            lookup[self._columns] = np.arange(self._columns.size, dtype=np.int32)
            self.num_candidates = int(chosen.size)
        self._lookup = tf.constant(lookup)

    def columns(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the column of each item, below 2 for those that are no candidates."""
        if self._columns is None:
            return tf.cast(items, tf.int32)
        return tf.gather(self._lookup, items)

    def items(self, columns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns the items of columns; -1 stays."""
        if self._columns is None:
            return columns
        return np.where(columns < 0, columns, self._columns[columns])

    def select(self, scores: tf.Tensor) -> tf.Tensor:
        """Returns the columns that compete of scores `[targets, vocab]`."""
        return scores if self._columns is None else tf.gather(scores, self._columns, axis=1)

    def factors(self, factors: Factors | None) -> Factors | None:
        """Returns the rows that compete of item vectors and biases."""
        if factors is None or self._columns is None:
            return factors
        table, bias = factors
        return tf.gather(table, self._columns), None if bias is None else tf.gather(bias, self._columns)


def _chunk_counter(represented: tf.Tensor, factors: Factors | None, table_bound: float, length: int) -> CountChunk:
    if factors is None:
        return lambda rows, column, seen: count_from_scores(represented[rows], column, seen, list_length=length)
    table, bias = factors
    # No product can be NaN or infinite below this bound: cheaper than a look at every score.
    check = not _largest(represented) * table_bound < float(table.dtype.max)
    return lambda rows, column, seen: count_from_factors(
        represented[rows], table, bias, column, seen, list_length=length, check=check
    )


def _table_bound(factors: Factors | None) -> float:
    """What the largest score is below, for states of at most 1; infinite unless all is finite."""
    if factors is None:
        return np.inf
    table, bias = factors
    return _largest(table) * int(table.shape[1]) + (0.0 if bias is None else _largest(bias))


def _largest(tensor: tf.Tensor) -> float:
    """The largest magnitude, at least 1, or infinity."""
    finite = bool(tf.reduce_all(tf.math.is_finite(tensor)))
    return max(1.0, float(tf.reduce_max(tf.abs(tensor)))) if finite else np.inf


def _seen_columns(items: tf.Tensor | None, query: tf.Tensor, column: tf.Tensor, catalogue: _Catalogue) -> tf.Tensor:
    if items is None:
        return tf.zeros([tf.shape(column)[0], 0], tf.int32)
    history = catalogue.columns(tf.gather(items, query[:, 0]))  # [chunk, seq]
    known = tf.range(tf.shape(items)[1]) <= query[:, 1:]  # [chunk, seq]
    return tf.where(known & tf.not_equal(history, column[:, tf.newaxis]), history, 0)  # [chunk, seq]
