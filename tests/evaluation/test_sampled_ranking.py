from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.scorers import FactorScorer, FixedScorer
from tests.oracles import ranking as oracle
from tests.sequence_batches import make_batch
from tfrec.config.evaluation_config import SampledConfig
from tfrec.errors import TfrecError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.ranking_metrics import chance_metrics
from tfrec.evaluation.sampled_negatives import SampledNegatives
from tfrec.evaluation.sampled_ranking import evaluate_sampled
from tfrec.evaluation.tie_rules import TIE_RULES

VOCAB = 40


class Given:
    """Hands out given negatives row by row."""

    def __init__(self, negatives: np.ndarray) -> None:
        self.negatives = negatives
        self.position = 0

    def __call__(self, batch: object, query: tf.Tensor, target: tf.Tensor) -> np.ndarray:
        self.position += int(target.shape[0])
        return self.negatives[self.position - int(target.shape[0]) : self.position]


def case(seed: int, rows: int) -> tuple[list[dict[str, tf.Tensor]], np.ndarray, np.ndarray]:
    """Batches of one target per sequence, the targets, and 12 distinct negatives for each."""
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(2, VOCAB, 4).tolist() for _ in range(rows)]
    targets = np.array([sequence[-1] for sequence in sequences])
    negatives = np.stack([rng.permutation(np.setdiff1d(np.arange(2, VOCAB), [target]))[:12] for target in targets])
    half = rows // 2
    batches = [make_batch(part, [1] * len(part)) for part in (sequences[:half], sequences[half:])]
    return batches, targets, negatives


@pytest.mark.parametrize("rule", TIE_RULES)
@pytest.mark.parametrize("factorised", [False, True])
def test_matches_the_oracle_with_ties(rule: str, factorised: bool) -> None:
    batches, targets, negatives = case(seed=1, rows=30)
    rng = np.random.default_rng(2)
    encodings, table, bias = rng.integers(-2, 3, (30, 3)), rng.integers(-2, 3, (VOCAB, 3)), rng.integers(-1, 2, VOCAB)
    scores = encodings @ table.T + bias
    scorer = FactorScorer(encodings, table, bias) if factorised else FixedScorer(scores)
    result = evaluate_sampled(
        scorer, batches, Given(negatives), label="sampled", tie_rule=rule, keep_ranks=True, chunk_bytes=4 * 13 * 3 * 7
    )
    expected = [
        oracle.rank_of(scores[row], targets[row], [targets[row], *negatives[row]], rule) for row in range(len(targets))
    ]
    assert result.ranks.tolist() == expected
    assert result.metrics == pytest.approx(oracle.metrics(expected, [1, 5, 10, 20]), abs=1e-12)
    assert result.chance == pytest.approx(chance_metrics(13), abs=1e-12)
    assert (result.protocol, result.num_candidates, result.num_targets) == ("sampled", 13, 30)


def test_all_items_as_negatives_are_full_ranking() -> None:
    batches, _, _ = case(seed=3, rows=20)
    batches = [{**batch, "user_id": tf.range(int(batch["item"].shape[0]))} for batch in batches]
    scores = np.random.default_rng(3).random((20, VOCAB))
    draw = SampledNegatives(SampledConfig(num_negatives=VOCAB - 3), np.ones(VOCAB, np.int64))
    sampled = evaluate_sampled(FixedScorer(scores), batches, draw, label=draw.label, keep_ranks=True)
    full = evaluate_ranking(FixedScorer(scores), batches, keep_ranks=True)
    assert sampled.ranks.tolist() == full.ranks.tolist()
    assert sampled.metrics == full.metrics
    assert sampled.chance == pytest.approx(full.chance)


def test_random_scores_are_at_the_chance_of_a_hundred_candidates() -> None:
    rng = np.random.default_rng(0)
    rows, vocab = 5_000, 402
    sequences = [[2, int(target)] for target in rng.integers(2, vocab, rows)]
    batch = {**make_batch(sequences, [1] * rows), "user_id": tf.range(rows)}
    draw = SampledNegatives(SampledConfig(), np.ones(vocab, np.int64))
    result = evaluate_sampled(FixedScorer(rng.random((rows, vocab))), [batch], draw, label=draw.label)
    for name, chance in (("hit@10", 0.1), ("hit@5", 0.05)):
        assert result.chance[name] == pytest.approx(chance)
        assert abs(result.metrics[name] - chance) < 4 * np.sqrt(chance * (1 - chance) / rows)
    assert abs(result.metrics["avg_rank"] - 50.5) < 4 * np.sqrt((100**2 - 1) / 12 / rows)


def test_a_collapsed_model_is_last_under_the_conservative_rule() -> None:
    batches, _, negatives = case(seed=5, rows=10)
    for rule, rank in (("standard", 1.0), ("conservative", 13.0), ("median", 7.0)):
        scorer = FactorScorer(np.ones((10, 4)), np.full((VOCAB, 4), 0.1), None)
        result = evaluate_sampled(scorer, batches, Given(negatives), label="s", tie_rule=rule, keep_ranks=True)
        assert set(result.ranks.tolist()) == {rank}


def test_unknown_targets_are_misses() -> None:
    batch = make_batch([[2, 3], [2, 1]], [1, 1])
    result = evaluate_sampled(
        FixedScorer(np.ones((2, 8))), [batch], Given(np.array([[4, 5], [4, 5]])), label="s", tie_rule="standard"
    )
    assert result.metrics["recall@1"] == 0.5
    assert result.metrics["avg_rank"] == (1 + 4) / 2  # behind the three candidates
    assert result.num_unknown_targets == 1
    assert result.chance["recall@1"] == pytest.approx(1 / 3 / 2)


@pytest.mark.parametrize(
    ("negatives", "fragment"),
    [
        ([[4, 5], [6, 6]], "Target 2 has item 6 twice"),
        ([[4, 3], [5, 6]], "Target 1 has item 3 twice"),  # the target itself
        ([[4, 5], [1, 6]], "from 1 to 6"),
        ([[4, 5], [6, 8]], "from 4 to 8"),
    ],
)
def test_duplicated_and_impossible_candidates_are_errors(negatives: list[list[int]], fragment: str) -> None:
    batch = make_batch([[2, 3], [2, 3]], [1, 1])
    with pytest.raises(TfrecError, match=fragment):
        evaluate_sampled(FixedScorer(np.ones((2, 8))), [batch], Given(np.array(negatives)), label="s")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [3, 5])
def test_scores_that_cannot_be_ranked_are_errors(value: float, column: int) -> None:
    scores = np.zeros((2, 8))
    scores[1, column] = value
    batch = make_batch([[2, 3], [2, 3]], [1, 1])
    with pytest.raises(TfrecError, match="plus infinity"):
        evaluate_sampled(FixedScorer(scores), [batch], Given(np.array([[4, 5], [4, 5]])), label="s")
    fine = np.where(np.isfinite(scores), scores, -np.inf)
    evaluate_sampled(FixedScorer(fine), [batch], Given(np.array([[4, 5], [4, 5]])), label="s")
