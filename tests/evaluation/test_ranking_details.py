"""What `evaluate_ranking` keeps beside the metrics: targets, lists, similarities and the probe for collapse."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.scorers import FactorScorer, FixedScorer
from tests.oracles import ranking as oracle
from tests.sequence_batches import make_batch
from tfrec.evaluation.ranking import evaluate_ranking

VOCAB = 400
CUTOFFS = [1, 3, 150]


def case(rows: int = 40) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    items = [rng.integers(2, VOCAB, rng.integers(2, 9)).tolist() for _ in range(rows)]
    return items, rng.integers(-3, 4, (rows, 4)), rng.integers(-3, 4, (VOCAB, 4))


@pytest.mark.parametrize("factorised", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_lists_are_the_best_candidates_of_the_oracle(factorised: bool, subset: bool) -> None:
    items, encodings, table = case()
    scores = encodings @ table.T
    scorer = FactorScorer(encodings, table, None) if factorised else FixedScorer(scores)
    allowed = list(range(3, VOCAB, 2)) if subset else list(range(2, VOCAB))
    batches = [make_batch(items[:25], [1] * 25), make_batch(items[25:], [1] * 15)]
    result = evaluate_ranking(
        scorer, batches, cutoffs=CUTOFFS, exclude_history=True, candidates=allowed if subset else None, details=True
    )
    counts = {cutoff: np.zeros(VOCAB, int) for cutoff in (1, 3)}
    for row, (history, target) in enumerate(oracle.targets_of(items, [1] * 40)):
        free = [item for item in allowed if item == target or item not in history]
        best = sorted(free, key=lambda item: (-scores[row, item], item))  # equal scores in the order of the items
        for cutoff, counted in counts.items():
            counted[best[:cutoff]] += 1
    assert result.lists is not None
    assert result.lists.num_lists == 40
    assert set(result.lists.counts) == {1, 3}  # no list is longer than a hundred
    for cutoff, counted in counts.items():
        assert result.lists.counts[cutoff].tolist() == counted.tolist()
    assert (result.similarity is not None) == factorised


def test_targets_are_described_in_the_order_of_the_batches() -> None:
    first = {**make_batch([[2, 3, 4], [5, 6]], [2, 0]), "user_id": tf.constant([70, 50], tf.int64)}
    second = {**make_batch([[7, 8, 9, 1]], [1]), "user_id": tf.constant([70], tf.int64)}
    result = evaluate_ranking(FixedScorer(np.eye(3, 20, 4)), [first, second], keep_ranks=True)
    targets = result.targets
    assert targets is not None
    assert targets.item.tolist() == [3, 4, 1]
    assert targets.position.tolist() == [1, 2, 3]
    assert targets.sequence.tolist() == [0, 0, 2]
    assert targets.owner.tolist() == [0, 0, 0]  # user 70 is the only one with a target
    assert targets.known.tolist() == [True, True, False]
    assert result.num_sequences == 2
    assert result.lists is None
    assert result.scores is None
    named = [{**first, "user_id": tf.constant([b"b", b"a"])}, {**second, "user_id": tf.constant([b"a"])}]
    result = evaluate_ranking(FixedScorer(np.eye(3, 20, 4)), named, keep_ranks=True)
    assert result.targets is not None
    assert result.targets.owner.tolist() == [1, 1, 0]


def test_without_details_nothing_is_kept() -> None:
    result = evaluate_ranking(FixedScorer(np.eye(1, 20, 4)), [make_batch([[2, 3]], [1])])
    assert (result.targets, result.ranks, result.lists, result.similarity, result.scores) == (None,) * 5


def test_probe_tells_constant_scores_and_one_list_for_all_from_a_living_model() -> None:
    rng = np.random.default_rng(0)
    rows = 64
    items = [[2, int(target)] for target in rng.integers(3, VOCAB, rows)]
    batches = [make_batch(items[start : start + 8], [1] * 8) for start in range(0, rows, 8)]
    states, table = rng.normal(size=(rows, 8)), rng.normal(size=(VOCAB, 8))
    scorers = {
        "alive": FactorScorer(states, table, None),
        "equal items": FactorScorer(states, np.repeat(table[:1], VOCAB, axis=0), None),
        "rounding noise": FactorScorer(states, table[:1] * (1 + 1e-8 * table[:, :1]) + np.zeros((VOCAB, 8)), None),
        "equal users": FactorScorer(np.repeat(states[:1], rows, axis=0), table, None),
        "bias alone": FactorScorer(states * 1e-4, table, rng.normal(size=VOCAB)),
        "scores": FixedScorer(np.repeat(rng.normal(size=(1, VOCAB)), rows, axis=0)),
    }
    found = {name: evaluate_ranking(scorer, batches, details=True).scores for name, scorer in scorers.items()}
    assert found["alive"]["num_probed"] == rows
    assert found["alive"]["share_constant"] == 0.0
    assert found["alive"]["list_overlap"] < 0.2
    # Products of 8 standard normal pairs: standard deviation about |state|, of median about sqrt(7.3).
    assert found["alive"]["median_spread"] == pytest.approx(np.sqrt(7.3), rel=0.15)
    assert found["equal items"]["share_constant"] == 1.0
    # A state nearly at right angles to the item has a score as small as the rounding of its terms.
    assert found["rounding noise"]["share_constant"] > 0.9
    for name in ("equal users", "bias alone", "scores"):
        assert found[name]["share_constant"] == 0.0, name
        assert found[name]["list_overlap"] > 0.9, name


def test_probe_passes_over_candidates_at_minus_infinity() -> None:
    scores = np.tile(np.array([0.0, 0.0, 1.0, 3.0, -np.inf, -np.inf]), (2, 1))
    found = evaluate_ranking(FixedScorer(scores), [make_batch([[2, 3], [2, 3]], [1, 1])], details=True).scores
    assert found["median_spread"] == 1.0  # of 1 and 3
    assert found["median_magnitude"] == 2.0
