"""Ranking among a few sampled negatives: for comparison with published numbers only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import TfrecError
from tfrec.evaluation.ranked_targets import TargetCollector
from tfrec.evaluation.ranking import DEFAULT_CHUNK_BYTES
from tfrec.evaluation.ranking_metrics import DEFAULT_CUTOFFS, chance_metrics, check_cutoffs, ranking_metrics
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.scored_batches import Factors, item_factors, reject_unfit, scored_batches
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.evaluation.tie_rules import TieRule, check_tie_rule

DrawNegatives = Callable[[Mapping[str, tf.Tensor], tf.Tensor, tf.Tensor], NDArray[np.int32]]


def evaluate_sampled(
    scorer: Scorer,
    batches: Iterable[Batch],
    negatives: DrawNegatives,
    *,
    label: str,
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    tie_rule: TieRule = "conservative",
    keep_ranks: bool = False,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
) -> RankingResult:
    """Ranks every target among its negatives.

    The numbers are on another scale than those of `evaluate_ranking` (chance is ten per cent at cut-off 10 among 100
    candidates), and can order two models differently: never set one beside the other. A target out of vocabulary is a
    miss; a score that is NaN or plus infinity is an error, minus infinity ranks last.

    Args:
        scorer: What to evaluate; of a factorised one only the scores of the candidates are made.
        batches: Batches of `sequence_dataset` for one split.
        negatives: Returns item indices `[targets, any]` for a batch and its targets, see `SampledNegatives`.
        label: Name of the protocol in the result.
        cutoffs: Cut-offs of the metrics. Default: 1, 5, 10, 20.
        tie_rule: `standard`, `conservative` or `median`. Default: conservative.
        keep_ranks: Keep the counts of every target in the result. Default: false.
        chunk_bytes: Upper limit of one matrix of scores or of gathered item vectors. Default: 64 MiB.

    Returns:
        Metrics and their chance level among as many candidates.

    Raises:
        ConfigError: A cut-off or the tie rule is not valid.
        TfrecError: A candidate appears twice or is no item, a score cannot be ranked, or no batch has a target.

    Reference:
        Krichene and Rendle, "On sampled metrics for item recommendation", KDD 2020.
    """
    check_cutoffs(cutoffs)
    check_tie_rule(tie_rule)
    started = time.perf_counter()
    factors = item_factors(scorer)
    collector = TargetCollector()
    num_candidates = 0
    for scored in scored_batches(scorer, batches, factors, chunk_bytes):
        drawn = tf.cast(negatives(scored.batch, scored.query, scored.target), tf.int32)  # [targets, negatives]
        candidates = tf.concat([scored.target[:, tf.newaxis], drawn], axis=1)  # [targets, candidates]
        first = collector.num_targets
        _check_candidates(candidates.numpy(), scorer.vocab_size, first)
        collector.add_batch(scored.batch, scored.query, scored.target)
        num_candidates = max(num_candidates, int(candidates.shape[1]))
        width = int(candidates.shape[1]) * (1 if factors is None else int(factors[0].shape[1]))
        chunk_rows = max(1, chunk_bytes // (4 * width))
        for start in range(0, collector.num_targets - first, chunk_rows):
            rows = slice(start, start + chunk_rows)
            scores = _candidate_scores(scored.represented[rows], candidates[rows], factors)  # [chunk, candidates]
            fit = tf.reduce_all(scores < float("inf"), axis=1)  # [chunk]; false for NaN
            reject_unfit(int(tf.math.count_nonzero(~fit)), first + start)
            greater = tf.math.count_nonzero(scores > scores[:, :1], axis=1)  # [chunk]
            greater_equal = tf.math.count_nonzero(scores >= scores[:, :1], axis=1)  # [chunk]
            size = tf.fill(tf.shape(greater), tf.shape(scores)[1])
            collector.add_counts(greater, greater_equal, size, scored.target[rows] >= 2)
    targets = collector.targets()
    miss_rank = num_candidates + 1.0
    return RankingResult(
        metrics=ranking_metrics(targets.ranks(tie_rule), cutoffs, miss_rank=miss_rank),
        chance=chance_metrics(targets.candidates, cutoffs, miss_rank=miss_rank),
        num_targets=len(targets),
        num_sequences=collector.num_sequences_with_targets,
        num_candidates=num_candidates,
        tie_rule=tie_rule,
        protocol=label,
        num_unknown_targets=int((~targets.known).sum()),
        seconds=time.perf_counter() - started,
        targets=targets if keep_ranks else None,
    )


def _candidate_scores(represented: tf.Tensor, candidates: tf.Tensor, factors: Factors | None) -> tf.Tensor:
    if factors is None:
        return tf.gather(represented, candidates, batch_dims=1)  # [chunk, candidates]
    table, bias = factors
    # Product and sum element by element: every candidate's score is made in the same way, so equal vectors tie.
    scores = tf.reduce_sum(represented[:, tf.newaxis, :] * tf.gather(table, candidates), axis=2)  # [chunk, candidates]
    return scores if bias is None else scores + tf.gather(bias, candidates)


def _check_candidates(candidates: NDArray[np.int32], vocab_size: int, first: int) -> None:
    negatives = candidates[:, 1:]
    if negatives.size and (negatives.min() < 2 or negatives.max() >= vocab_size):
        raise TfrecError(
            f"The negatives hold item indices from {negatives.min()} to {negatives.max()}.",
            remedy=f"Draw from 2 to {vocab_size - 1}.",
        )
    ordered = np.sort(candidates, axis=1)
    row, column = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
    if row.size:
        raise TfrecError(
            f"Target {first + row[0] + 1} has item {ordered[row[0], column[0]]} twice among its candidates "
            f"({np.unique(row).size:,} such targets in this batch).",
            remedy="Draw distinct negatives other than the target: duplicates change ranks and the chance level.",
        )
