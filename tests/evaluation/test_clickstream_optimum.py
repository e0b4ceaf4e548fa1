from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.sequence_batches import make_arrays, make_batch
from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.data.synthetic import Clickstream
from tfrec.evaluation.clickstream_optimum import OracleScorer, best_attainable
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.registry import model_class

SMALL = ClickstreamConfig(
    num_sessions=4_000, num_items=60, num_categories=6, num_interests=3, num_successors=4, family_size=2, seed=7
)


def sessions_of(table: pa.Table) -> list[list[int]]:
    order = np.lexsort((table["timestamp"].to_numpy(), table["session_id"].to_numpy()))
    session, item = (table[name].to_numpy()[order] for name in ("session_id", "item_id"))
    return [part.tolist() for part in np.split(item, np.flatnonzero(np.diff(session)) + 1)]


@pytest.fixture(scope="module")
def world() -> Clickstream:
    return Clickstream(SMALL)


@pytest.fixture(scope="module")
def oracle(world: Clickstream) -> OracleScorer:
    return OracleScorer(world, np.arange(1, 61))  # raw id i has index i + 1


@pytest.fixture(scope="module")
def split(world: Clickstream) -> tuple[list[list[int]], list[list[int]]]:
    indices = [[item + 1 for item in session] for session in sessions_of(world.generate())]
    return indices[:3_000], indices[3_000:]


def by_enumeration(world: Clickstream, history: list[int]) -> np.ndarray:
    """P(next item | history) from the joint probability of interest and history, one number at a time."""
    config = world.config

    def event(z: int, past: list[int], item: int) -> float:
        p_last, p_previous, p_interest = world.mixture(len(past))
        total = p_interest * world.preference[z, item]
        total += (1 - p_last - p_previous - p_interest) * world.popularity[item]
        sources = ((p_last, past[-1:]), (p_previous, past[-2:-1]))
        for weight, source in sources:
            for number in source:
                for place in range(config.num_successors):
                    if world.successors[number, place] == item:
                        total += weight * world.successor_weights[z, number, place]
        return total

    joint = np.zeros(config.num_items)
    for z in range(config.num_interests):
        likelihood = 1.0 / config.num_interests
        for position, item in enumerate(history):
            likelihood *= event(z, history[:position], item)
        joint += [likelihood * event(z, history, item) for item in range(config.num_items)]
    return joint / joint.sum()


def test_predictive_distribution_equals_enumeration(
    world: Clickstream, oracle: OracleScorer, split: tuple[list[list[int]], list[list[int]]]
) -> None:
    number = np.empty(61, np.int64)
    number[world.item_ids] = np.arange(60)
    # Drawn sessions hold successors of the last and of the previous item, which any made-up sequence rarely does.
    sequences = [*[session[:7] for session in split[0] if len(session) >= 6][:5], [30, 31, 31]]
    probabilities = oracle.probabilities(make_batch(sequences))
    row = 0
    for sequence in sequences:
        for position in range(1, len(sequence)):
            history = [int(number[index - 1]) for index in sequence[:position]]
            expected = by_enumeration(world, history)  # by item number; raw id i has index i + 1
            np.testing.assert_allclose(probabilities[row, world.item_ids + 1], expected, rtol=1e-9)
            np.testing.assert_array_equal(probabilities[row, :2], 0)
            row += 1
    assert row == probabilities.shape[0]


def test_expected_metrics_are_those_of_the_sorted_distribution(oracle: OracleScorer) -> None:
    batch = make_batch([[5, 9, 14]], [1])
    top = np.sort(oracle.probabilities(batch)[0])[::-1]
    best = best_attainable(oracle, [batch], cutoffs=[3])
    assert best["recall@3"] == best["hit@3"] == pytest.approx(top[:3].sum())
    assert best["mrr@3"] == pytest.approx(top[0] + top[1] / 2 + top[2] / 3)
    assert best_attainable(oracle, [batch], cutoffs=[1_000])["recall@1000"] == pytest.approx(1)


def test_drawn_sessions_reach_the_expected_optimum(
    oracle: OracleScorer, split: tuple[list[list[int]], list[list[int]]]
) -> None:
    # This fails when the sessions are not drawn from the distribution the oracle believes in.
    batches = [make_batch(split[0]), make_batch(split[1])]
    expected = best_attainable(oracle, batches, cutoffs=[1, 10])
    drawn = evaluate_ranking(oracle, batches, cutoffs=[1, 10])
    for name, value in expected.items():
        # Standard error of an average of gains in [0, 1] over some 20,000 targets.
        assert drawn.metrics[name] == pytest.approx(value, abs=4 * np.sqrt(0.25 / drawn.num_targets)), name


def test_no_baseline_beats_the_optimum_and_chance_is_far_below(
    oracle: OracleScorer, split: tuple[list[list[int]], list[list[int]]]
) -> None:
    train, test = split
    batches = [make_batch(test)]
    optimum = evaluate_ranking(oracle, batches)
    recalls = {}
    for name in ("popularity", "session_popularity", "markov", "item_knn"):
        cls = model_class(name)
        model = cls(cls.config_class(), oracle.vocab_size)
        model.fit_sequences(make_arrays(train))
        result = evaluate_ranking(model, batches)
        recalls[name] = result.metrics["recall@10"]
        for metric in ("recall@5", "recall@10", "recall@20", "mrr@20", "ndcg@20"):
            assert result.metrics[metric] < optimum.metrics[metric], (name, metric)
    assert optimum.chance["recall@10"] < recalls["popularity"] < recalls["markov"]


def test_unknown_events_are_passed_over(world: Clickstream) -> None:
    scorer = OracleScorer(world, np.arange(1, 31))  # the other half of the items is out of vocabulary
    probabilities = scorer.probabilities(make_batch([[1, 1, 5], [4, 1, 5]]))
    assert probabilities.shape == (4, 32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities[0], probabilities[1])  # two unknown events say no more than one
    assert not np.allclose(probabilities[2], probabilities[0])
