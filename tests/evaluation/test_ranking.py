from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.scorers import FactorScorer, FixedScorer
from tests.oracles import ranking as oracle
from tests.sequence_batches import make_batch
from tfrec.errors import ConfigError, TfrecError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.ranking_metrics import METRIC_FAMILIES
from tfrec.evaluation.tie_rules import TIE_RULES


def random_case(seed: int, vocab_size: int, rows: int, levels: int) -> tuple[list[list[int]], list[int], np.ndarray]:
    """Ragged sequences with repetitions, their targets and scores with many ties."""
    rng = np.random.default_rng(seed)
    items = [rng.integers(2, vocab_size, rng.integers(2, 9)).tolist() for _ in range(rows)]
    num_targets = [int(rng.integers(0, len(sequence))) for sequence in items]
    num_targets[0] = max(1, num_targets[0])
    scores = rng.integers(0, levels, (sum(num_targets), vocab_size)) / 4.0
    return items, num_targets, scores


def expected_ranks(
    items: list[list[int]], num_targets: list[int], scores: np.ndarray, rule: str, exclude_history: bool
) -> list[float]:
    ranks = []
    for row, (history, target) in enumerate(oracle.targets_of(items, num_targets)):
        candidates = oracle.candidate_columns(scores.shape[1], history, target, exclude_history)
        ranks.append(oracle.rank_of(scores[row], target, candidates, rule))
    return ranks


def test_worked_example_of_the_tie_rules() -> None:
    # Candidates 2..6 score .3 .5 .5 .5 .1; the target 3 has nothing above it and three at its score (itself included):
    # standard 0 + 1, conservative 3, median 0 + (3 - 1)/2 + 1 = 2. Padding and OOV score 9 and must not count.
    scores = np.array([[9.0, 9.0, 0.3, 0.5, 0.5, 0.5, 0.1]])
    batch = make_batch([[2, 3]], [1])
    for rule, rank in (("standard", 1.0), ("conservative", 3.0), ("median", 2.0)):
        result = evaluate_ranking(FixedScorer(scores), [batch], cutoffs=[2, 3], tie_rule=rule, keep_ranks=True)
        assert result.ranks is not None
        assert result.ranks.tolist() == [rank]
        assert result.metrics["recall@2"] == (1.0 if rank <= 2 else 0.0)
        assert result.metrics["mrr@3"] == pytest.approx(1 / rank)
        assert (result.num_targets, result.num_sequences, result.num_candidates) == (1, 1, 5)
        assert (result.tie_rule, result.protocol, result.num_unknown_targets) == (rule, "full", 0)


def test_golden_ranks_and_metrics_of_all_tie_rules(golden) -> None:
    stored = np.load(golden / "ranking_metrics.npz")
    scores = stored["scores_q"].astype(np.float32) * stored["scale"]  # [200, 1000]
    targets = stored["targets"] + 2  # shifted past padding and OOV, which get the best score on purpose
    padded = np.pad(scores, [[0, 0], [2, 0]], constant_values=scores.max() + 1)
    batches = [
        make_batch([[2, int(target)] for target in part], [1] * len(part)) for part in np.array_split(targets, 7)
    ]
    cutoffs = stored["cutoffs"].tolist()
    for rule in TIE_RULES:
        result = evaluate_ranking(FixedScorer(padded), batches, cutoffs=cutoffs, tie_rule=rule, keep_ranks=True)
        assert result.ranks is not None
        np.testing.assert_array_equal(result.ranks, stored[f"rank_{rule}"])
        assert np.float32(np.mean(1 / result.ranks)) == stored[f"mrr_uncut_{rule}"]
        for family in ("recall", "mrr", "ndcg"):
            ours = [result.metrics[f"{family}@{cutoff}"] for cutoff in cutoffs]
            # The file holds float32; the exact averages of its ranks are checked to 1e-9 against the oracle.
            np.testing.assert_allclose(ours, stored[f"{family}_{rule}"], rtol=6e-8)
        expected = oracle.metrics(stored[f"rank_{rule}"].tolist(), cutoffs)
        assert result.metrics == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("exclude_history", [False, True])
@pytest.mark.parametrize("rule", TIE_RULES)
def test_matches_the_oracle_with_ties_duplicates_and_history(rule: str, exclude_history: bool) -> None:
    items, num_targets, scores = random_case(seed=3, vocab_size=17, rows=25, levels=5)
    result = evaluate_ranking(
        FixedScorer(scores),
        [make_batch(items[:9], num_targets[:9]), make_batch(items[9:], num_targets[9:])],
        tie_rule=rule,
        exclude_history=exclude_history,
        keep_ranks=True,
    )
    expected = expected_ranks(items, num_targets, scores, rule, exclude_history)
    assert result.ranks is not None
    assert result.ranks.tolist() == expected
    assert result.metrics == pytest.approx(oracle.metrics(expected, [1, 5, 10, 20], miss_rank=16), abs=1e-12)
    assert result.num_sequences == sum(1 for number in num_targets if number)
    assert result.protocol == ("full, history excluded" if exclude_history else "full")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), rule=st.sampled_from(TIE_RULES), exclude_history=st.booleans())
def test_matches_the_oracle_on_any_case(seed: int, rule: str, exclude_history: bool) -> None:
    items, num_targets, scores = random_case(seed, vocab_size=9, rows=6, levels=3)
    result = evaluate_ranking(
        FixedScorer(scores),
        [make_batch(items, num_targets)],
        tie_rule=rule,
        exclude_history=exclude_history,
        keep_ranks=True,
    )
    assert result.ranks is not None
    assert result.ranks.tolist() == expected_ranks(items, num_targets, scores, rule, exclude_history)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_increasing_transformations_and_item_order_do_not_change_ranks(seed: int) -> None:
    items, num_targets, scores = random_case(seed, vocab_size=9, rows=5, levels=4)
    permutation = np.concatenate([[0, 1], 2 + np.random.default_rng(seed).permutation(7)])  # old index -> new index
    moved = np.empty_like(scores)
    moved[:, permutation] = scores
    renamed = [[int(permutation[item]) for item in sequence] for sequence in items]
    reference = evaluate_ranking(FixedScorer(scores), [make_batch(items, num_targets)]).metrics
    assert evaluate_ranking(FixedScorer(3 * scores + 1), [make_batch(items, num_targets)]).metrics == reference
    assert evaluate_ranking(FixedScorer(moved), [make_batch(renamed, num_targets)]).metrics == reference


@pytest.mark.parametrize("with_bias", [False, True])
def test_factorised_scorer_is_chunk_invariant_and_equals_its_scores(with_bias: bool) -> None:
    items, num_targets, _ = random_case(seed=5, vocab_size=21, rows=40, levels=2)
    rng = np.random.default_rng(5)
    # Small integers: every product and sum is exact in float32, so ties are real and the oracle sees the same scores.
    encodings = rng.integers(-2, 3, (sum(num_targets), 4))
    table = rng.integers(-2, 3, (21, 4))
    bias = rng.integers(-1, 2, 21) if with_bias else None
    scores = encodings @ table.T + (0 if bias is None else bias)
    expected = expected_ranks(items, num_targets, scores, "conservative", True)
    batches = [make_batch(items[:30], num_targets[:30]), make_batch(items[30:], num_targets[30:])]
    for chunk_bytes in (1, 4 * 21 * 7, 2**20):
        factorised = evaluate_ranking(
            FactorScorer(encodings, table, bias),
            batches,
            exclude_history=True,
            keep_ranks=True,
            chunk_bytes=chunk_bytes,
        )
        direct = evaluate_ranking(
            FixedScorer(scores), batches, exclude_history=True, keep_ranks=True, chunk_bytes=chunk_bytes
        )
        assert factorised.ranks is not None
        assert direct.ranks is not None
        assert factorised.ranks.tolist() == expected
        assert direct.ranks.tolist() == expected


def test_random_scores_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    rows, vocab_size = 20_000, 102  # 100 candidates
    targets = rng.integers(2, vocab_size, rows)
    batch = make_batch([[2, int(target)] for target in targets], [1] * rows)
    result = evaluate_ranking(FixedScorer(rng.random((rows, vocab_size))), [batch], cutoffs=[1, 10, 20])
    assert result.chance["recall@10"] == pytest.approx(0.1)
    for name, expected in result.chance.items():
        # The standard error of an average of 20,000 gains in [0, 1] is at most sqrt(p (1-p) / 20,000).
        # That of an average of ranks uniform in 1..100 is sqrt((100^2 - 1) / 12 / 20,000).
        variance = (100**2 - 1) / 12 if name == "avg_rank" else expected * (1 - expected)
        error = np.sqrt(variance / rows)
        assert abs(result.metrics[name] - expected) < 4 * error, name


def test_collapsed_model_is_worst_under_the_conservative_rule() -> None:
    # All rows of the table are equal: each of the 12,001 candidates ties with the target.
    rng = np.random.default_rng(1)
    table = np.repeat(rng.normal(size=(1, 64)), 12_003, axis=0)
    batch = make_batch([[2, 3], [4, 5, 6]], [1, 2])
    encodings = rng.normal(size=(3, 64))
    ranks = {}
    for rule in TIE_RULES:
        result = evaluate_ranking(
            FactorScorer(encodings, table, None), [batch], tie_rule=rule, cutoffs=[20], keep_ranks=True
        )
        assert result.ranks is not None
        ranks[rule] = set(result.ranks.tolist())
        assert result.metrics["recall@20"] == (1.0 if rule == "standard" else 0.0)
    # median: 0 + (12,001 - 1)/2 + 1
    assert ranks == {"standard": {1.0}, "conservative": {12_001.0}, "median": {6_001.0}}


def test_seen_items_are_excluded_once_and_the_target_stays() -> None:
    # Candidates 2..6; history 4, 4, 5, then target 4 (seen before). Scores of 2..6: 1 5 3 4 2.
    # Without exclusion 3 and 5 are above 4: rank 3. Item 5 is excluded, 4 itself stays: only 3 is above, rank 2.
    scores = np.array([[0.0, 0.0, 1.0, 5.0, 3.0, 4.0, 2.0]])
    batch = make_batch([[4, 4, 5, 4, 3]], [2])
    two_rows = np.concatenate([scores, scores])
    plain = evaluate_ranking(FixedScorer(two_rows), [batch], cutoffs=[1], keep_ranks=True)
    masked = evaluate_ranking(FixedScorer(two_rows), [batch], cutoffs=[1], keep_ranks=True, exclude_history=True)
    assert plain.ranks is not None
    assert masked.ranks is not None
    assert plain.ranks.tolist() == [3.0, 1.0]
    assert masked.ranks.tolist() == [2.0, 1.0]
    # First row: 5 candidates without item 5 = 4. Second row: without 4 and 5 = 3. Expected recall@1 = (1/4 + 1/3) / 2.
    assert masked.chance["recall@1"] == pytest.approx((1 / 4 + 1 / 3) / 2)


def test_unknown_targets_are_misses_and_reported() -> None:
    # The second target is out of vocabulary (1); a collapsed model and the standard rule would call it a hit.
    batch = make_batch([[2, 3], [2, 1]], [1, 1])
    result = evaluate_ranking(FixedScorer(np.zeros((2, 5))), [batch], tie_rule="standard", cutoffs=[3], keep_ranks=True)
    assert result.ranks is not None
    assert result.ranks.tolist() == [1.0, np.inf]
    assert result.metrics["recall@3"] == 0.5
    assert result.num_unknown_targets == 1
    assert result.num_targets == 2
    assert result.chance["recall@3"] == 0.5  # 3 candidates: always a hit at 3 for the known one, never for the other


@pytest.mark.parametrize("factorised", [False, True])
def test_subset_of_candidates(factorised: bool) -> None:
    items, num_targets, _ = random_case(seed=11, vocab_size=30, rows=20, levels=2)
    rng = np.random.default_rng(11)
    encodings = rng.integers(-3, 4, (sum(num_targets), 3))
    table = rng.integers(-3, 4, (30, 3))
    scores = encodings @ table.T
    subset = [29, 3, 4, 7, 8, 9, 15, 16, 17, 20, 21, 22]
    scorer = FactorScorer(encodings, table, np.zeros(30)) if factorised else FixedScorer(scores)
    result = evaluate_ranking(
        scorer, [make_batch(items, num_targets)], candidates=subset, exclude_history=True, keep_ranks=True
    )
    expected = []
    for row, (history, target) in enumerate(oracle.targets_of(items, num_targets)):
        competing = [item for item in subset if item == target or item not in history]
        expected.append(oracle.rank_of(scores[row], target, competing, "conservative"))
    assert result.ranks is not None
    assert result.ranks.tolist() == expected
    assert result.num_unknown_targets == sum(1 for rank in expected if np.isinf(rank)) > 0
    assert result.num_candidates == 12
    assert result.protocol == "subset, history excluded"


@pytest.mark.parametrize("column", [0, 3, 4])
def test_not_a_number_is_an_error(column: int) -> None:
    scores = np.zeros((2, 6))
    scores[1, column] = np.nan
    with pytest.raises(TfrecError, match="not a number"):
        evaluate_ranking(FixedScorer(scores), [make_batch([[2, 3], [2, 4]], [1, 1])])


@pytest.mark.parametrize("place", ["scores", "encodings", "table", "bias", "product"])
def test_plus_infinity_and_overflow_are_errors(place: str) -> None:
    batch = make_batch([[2, 3], [2, 4]], [1, 1])
    if place == "scores":
        scorer = FixedScorer(np.where(np.eye(2, 6, 3), np.inf, 0.0))
    else:
        encodings, table, bias = np.ones((2, 3)), np.ones((6, 3)), np.zeros(6)
        if place == "product":  # 1e30 * 1e30 is beyond float32, though both factors are fine
            encodings[0], table[3] = 1e30, 1e30
        else:
            {"encodings": encodings, "table": table, "bias": bias}[place].flat[-1] = np.inf
        scorer = FactorScorer(encodings, table, bias)
    with pytest.raises(TfrecError, match="plus infinity"):
        evaluate_ranking(scorer, [batch])


@pytest.mark.parametrize("rule", TIE_RULES)
def test_minus_infinity_says_that_an_item_is_no_candidate(rule: str) -> None:
    # Target 3 at 1.0 has two finite scores below it: rank 1. Target 4 is at -inf with 5; 2, 3 and 6 are above both:
    # rank 4, 5 or 4.5. Item 6 and item 5 are excluded as history in turn: hidden columns must not count as ties.
    row = [0.0, 0.0, 0.5, 1.0, -np.inf, -np.inf, 0.0]
    scores = np.array([row, row, row, row])
    batches = [make_batch([[2, 3], [2, 4], [6, 4], [5, 4]], [1, 1, 1, 1])]
    plain = evaluate_ranking(FixedScorer(scores), batches, tie_rule=rule, keep_ranks=True)
    tied = {"standard": 4.0, "conservative": 5.0, "median": 4.5}[rule]
    assert plain.ranks.tolist() == [1.0, tied, tied, tied]
    masked = evaluate_ranking(FixedScorer(scores), batches, tie_rule=rule, exclude_history=True, keep_ranks=True)
    # Item 2 or 6 gone: one rank better. Item 5 gone: nothing is tied with item 4 any more, three are above it.
    assert masked.ranks.tolist() == [1.0, tied - 1, tied - 1, 4.0]


def test_rejects_bad_arguments() -> None:
    batch = make_batch([[2, 3]], [1])
    scorer = FixedScorer(np.zeros((1, 6)))
    with pytest.raises(ConfigError, match="conservative"):
        evaluate_ranking(scorer, [batch], tie_rule="conservativ")  # type: ignore[arg-type]
    for cutoffs in ([], [0], [10, 10]):
        with pytest.raises(ConfigError, match="cutoffs"):
            evaluate_ranking(scorer, [batch], cutoffs=cutoffs)
    for candidates in ([], [1, 2], [2, 6], [2, 4, 4]):
        with pytest.raises(ConfigError, match="candidates"):
            evaluate_ranking(scorer, [batch], candidates=candidates)
    with pytest.raises(TfrecError, match="nothing to evaluate"):
        evaluate_ranking(scorer, [make_batch([[2]])])
    with pytest.raises(TfrecError, match=r"shape \(1, 6\), expected \(2, 6\)"):
        evaluate_ranking(scorer, [make_batch([[2, 3], [2, 3]], [1, 1])])


def test_result_as_dictionary_holds_metrics_and_protocol() -> None:
    result = evaluate_ranking(FixedScorer(np.eye(1, 6, 3)), [make_batch([[2, 3]], [1])], cutoffs=[10])
    summary = result.as_dict()
    assert [summary[f"{family}@10"] for family in METRIC_FAMILIES] == [1.0, 1.0, 1.0, 1.0]
    assert summary["tie_rule"] == "conservative"
    assert summary["protocol"] == "full"
    assert summary["num_targets"] == 1
    assert "ranks" not in summary
