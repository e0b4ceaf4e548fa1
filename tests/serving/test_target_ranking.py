"""The signature that ranks the targets of raw examples against offline evaluation of the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.planted_shop import planted_shop
from tests.harness.tiny_recommender import tiny_recommender
from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.slices import popularity_buckets
from tfrec.serving.id_table import IdTable
from tfrec.serving.served_model import ServedModel
from tfrec.serving.target_ranking import SIGNATURES, TargetRanking, metric_outputs

SPLIT = "valid"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return planted_shop(tmp_path_factory.mktemp("shop"), "string")


def raw_examples(dataset: InteractionDataset, split: str, stranger: Any = None) -> list[bytes]:
    """The examples of a split with raw ids; unknown items get the id `stranger`."""
    arrays = dataset.load_ragged(split)
    examples = []
    for row in range(len(arrays.num_targets)):
        part = slice(int(arrays.offsets[row]), int(arrays.offsets[row + 1]))
        items = [stranger if one is None else one for one in dataset.item_vocabulary.raw(arrays.items[part].tolist())]
        features = {
            "item": _feature(items),
            "timestamp": _feature(arrays.timestamps[part].tolist()),
            "num_targets": _feature([int(arrays.num_targets[row])]),
            "user": _feature([arrays.user_ids[row]]),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        examples.append(example.SerializeToString())
    return examples


def _feature(values: list[Any]) -> tf.train.Feature:
    if values and isinstance(values[0], str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value) for value in values]))


@pytest.mark.parametrize(
    ("name", "settings", "rules"),
    [
        ("gru4rec", {}, {"tie_rule": "conservative", "cutoffs": [1, 3, 10]}),
        ("two_tower", {"user_vectors": True}, {"tie_rule": "median", "cutoffs": [5], "exclude_history": True}),
        ("popularity", {}, {"tie_rule": "standard", "cutoffs": [2, 4]}),
    ],
)
def test_ranks_are_those_of_offline_evaluation(
    name: str, settings: dict[str, Any], rules: dict[str, Any], shop: InteractionDataset, tmp_path: Path
) -> None:
    model = tiny_recommender(name, shop, **settings)
    how = EvaluationConfig(**rules)
    users = shop.vocabulary("user") if "user" in model.request_features else None
    served = ServedModel(model, shop.item_vocabulary, users=users, ranking=how)
    name = SIGNATURES[how.exclude_history]
    tf.saved_model.save(served, str(tmp_path), signatures={name: served.signatures()[name]})
    rank = tf.saved_model.load(str(tmp_path)).signatures[name]
    examples = raw_examples(shop, SPLIT, stranger="never seen")
    found = {key: value.numpy() for key, value in rank(examples=tf.constant(examples)).items()}

    offline = evaluate_ranking(
        model,
        sequence_dataset(shop, SPLIT, 7),
        cutoffs=how.cutoffs,
        tie_rule=how.tie_rule,
        exclude_history=how.exclude_history,
        keep_ranks=True,
    )
    targets = offline.targets
    assert targets is not None
    real = found["rank"] > 0  # [examples, most]
    assert real.sum(axis=1).tolist() == shop.load_ragged(SPLIT).num_targets.tolist()
    assert found["rank"][real].tolist() == targets.ranks(how.tie_rule).tolist()
    known = targets.known
    assert found["greater"][real][known].tolist() == targets.greater[known].tolist()
    assert found["greater_equal"][real][known].tolist() == targets.greater_equal[known].tolist()
    for metric in metric_outputs(how.cutoffs):
        assert found[metric][real].astype(np.float64).mean() == pytest.approx(offline.metrics[metric], abs=1e-6)
        assert not found[metric][~real].any()
    buckets = popularity_buckets(shop.item_vocabulary.counts)[targets.item]
    assert found["popularity"][real].tolist() == np.where(buckets < 0, 2, buckets).tolist()
    assert found["history"][real].tolist() == targets.position.tolist()


def test_chunks_several_targets_and_unknown_ones(shop: InteractionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three targets of one example, one of another, none of a third, in chunks of two; by hand from the scores."""
    monkeypatch.setattr("tfrec.serving.target_ranking._MAX_CHUNK_ROWS", 2)
    model = tiny_recommender("sasrec", shop)
    raw = shop.item_vocabulary.raw(list(range(2, 12)))
    rows = [([raw[0], raw[3], "new", raw[5], raw[0]], 3), ([raw[1], raw[2]], 9), ([raw[4]], 1)]
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={"item": _feature(items), "num_targets": _feature([number])})
        ).SerializeToString()
        for items, number in rows
    ]
    served = ServedModel(model, shop.item_vocabulary, ranking=EvaluationConfig(cutoffs=[3]))
    found = served.signatures()[SIGNATURES[False]](examples=tf.constant(examples))
    batch = {
        "item": tf.constant([[2, 5, 1, 7, 2], [3, 4, 0, 0, 0]]),
        "timestamp": tf.zeros([2, 5], tf.int64),
        "length": tf.constant([5, 2]),
        "num_targets": tf.constant([3, 1]),
    }
    scores = np.asarray(model.score_targets(batch))[:, 2:]  # targets 1, 7, 2 and 4
    ranks = [float((row >= row[place]).sum()) for row, place in zip(scores, [0, 5, 0, 2], strict=True)]
    ranks[0] = np.inf  # the first target is unknown
    assert found["rank"].numpy().tolist() == [ranks[:3], [ranks[3], 0, 0], [0, 0, 0]]
    assert found["history"].numpy().tolist() == [[2, 3, 4], [1, 0, 0], [0, 0, 0]]
    recall = [[float(rank <= 3) for rank in ranks[:3]], [float(ranks[3] <= 3), 0, 0], [0, 0, 0]]
    assert found["recall@3"].numpy().tolist() == recall


def test_scores_that_are_no_numbers_are_an_error(shop: InteractionDataset) -> None:
    model = tiny_recommender("gru4rec", shop)
    for weight in model.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan))
    items = shop.item_vocabulary
    rank = TargetRanking(model, IdTable(items, "items"), None, items.counts, model.encode_targets, EvaluationConfig())
    examples = raw_examples(shop, SPLIT)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a number"):
        tf.function(rank, autograph=False)(tf.constant(examples), exclude_history=False)
