"""Long and short windows, time features, and the generated behaviour log."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.behavior_shop import behavior_shop
from tfrec.config.behavior_log_config import BehaviorLogConfig
from tfrec.data.behavior_log import BehaviorLog
from tfrec.data.epoch_start import EpochStart
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.time_features import time_features
from tfrec.data.user_windows import WindowOptions, cut_windows, training_pairs, user_pairs


def batch_of(lengths: list[int]) -> dict[str, tf.Tensor]:
    """Sequences of the items 1, 2, 3 ... with ten times that as time and its last digit as kind."""
    width = max(lengths)
    place = np.arange(1, width + 1)
    inside = place <= np.array(lengths)[:, np.newaxis]
    return {
        "item": tf.constant(np.where(inside, place, 0), tf.int32),
        "timestamp": tf.constant(np.where(inside, 10 * place, 0), tf.int64),
        "kind": tf.constant(np.where(inside, place % 10, 0), tf.int64),
        "length": tf.constant(lengths, tf.int32),
        "user_id": tf.constant([f"u{n}" for n in lengths]),
    }


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 20, 30, 111, 140])
def test_cut_as_the_publication_does(length: int) -> None:
    """Long: the first max(1, floor(.9 n)) events, of these the last 100; short: the last 10 of the rest."""
    pair = cut_windows(batch_of([length, 150]), WindowOptions(features=("kind",)))
    events = list(range(1, length + 1))
    cut = max(1, int(0.9 * length))
    long, short = events[:cut][-100:], events[cut:][-10:]
    for name, expected, width in (("long", long, 100), ("short", short, 10)):
        found = {key: value[0].numpy().tolist() for key, value in pair[name].items()}
        assert found["length"] == len(expected)
        padding = [0] * (width - len(expected))
        assert found["item"] == expected + padding
        assert found["timestamp"] == [10 * item for item in expected] + padding
        assert found["kind"] == [item % 10 for item in expected] + padding
    assert pair["owner"][0] != pair["owner"][1]


def test_windows_are_cut_before_anything_is_padded() -> None:
    """Ragged events give the same windows; beside one user with very many events, no tensor is users x longest."""
    lengths = [1, 2, 9, 3000, 20, 111] + [5] * 194
    padded = batch_of(lengths)
    ragged = {
        name: tf.RaggedTensor.from_tensor(value, lengths=lengths) if len(value.shape) == 2 else value
        for name, value in padded.items()
    }
    options = WindowOptions(20, 7, features=("kind",))

    def cut(batch: dict[str, tf.Tensor]) -> tuple[Any, int]:
        graph = tf.compat.v1.wrap_function(lambda: cut_windows(batch, options), [])
        made = [output for operation in graph.graph.get_operations() for output in operation.outputs]
        with graph.graph.as_default():
            sizes = [tf.size(tensor) for tensor in made]  # of everything that is computed on the way
        return graph(), max(int(size) for size in graph.prune([], sizes)())

    expected, wide = cut(padded)
    found, narrow = cut(ragged)
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    assert wide == 200 * 3000
    assert narrow == max(sum(lengths), 200 * 20)  # the events themselves, or the long windows
    assert [found[side]["item"].shape for side in ("long", "short")] == [(200, 20), (200, 7)]


def test_time_features_against_the_calendar() -> None:
    first = datetime.datetime(2014, 11, 18, tzinfo=datetime.timezone.utc)
    moments = [first + datetime.timedelta(hours=int(hour)) for hour in range(0, 24 * 31, 5)]
    stamps = [int(moment.timestamp() * 1000) for moment in moments]
    found = time_features(tf.constant(stamps, tf.int64), stamps[0], stamps[-1])
    assert found.weekday.numpy().tolist() == [moment.weekday() for moment in moments]
    assert found.hour.numpy().tolist() == [moment.hour for moment in moments]
    assert found.is_weekend.numpy().tolist() == [float(moment.weekday() >= 5) for moment in moments]
    np.testing.assert_allclose(found.days, np.linspace(0, 1, len(stamps)), atol=1e-6)
    np.testing.assert_allclose(found.days + found.days_to_end, 1.0, atol=1e-6)
    outside = time_features(tf.constant([stamps[0] - 1, stamps[-1] + 1], tf.int64), stamps[0], stamps[-1])
    assert outside.days.numpy().tolist() == [0.0, 1.0]


def test_pairs_of_a_data_set(tmp_path: Path) -> None:
    dataset = behavior_shop(tmp_path)
    options = WindowOptions(12, 4, features=("behavior_type",))
    unpadded = sequence_dataset(dataset, "train", 16, pad=False, bucket_by_length=True)
    assert all(isinstance(unpadded.element_spec[name], tf.RaggedTensorSpec) for name in ("item", "behavior_type"))
    spec = user_pairs(dataset, "train", 16, options).element_spec
    assert [spec[side]["timestamp"].shape.as_list() for side in ("long", "short")] == [[None, 12], [None, 4]]
    stored = {
        int(owner): row
        for batch in user_pairs(dataset, "train", 16, options)
        for row, owner in enumerate(batch["owner"])
    }
    assert len(stored) == dataset.num_sequences("train")
    [everything] = list(sequence_dataset(dataset, "train", 1000).as_numpy_iterator())
    [whole] = list(user_pairs(dataset, "train", 1000, options).as_numpy_iterator())
    length = int(everything["length"][7])
    cut = int(0.9 * length)
    assert whole["long"]["item"][7, : min(12, cut)].tolist() == everything["item"][7, max(0, cut - 12) : cut].tolist()
    start = max(cut, length - 4)
    assert (
        whole["short"]["behavior_type"][7, : length - start].tolist()
        == everything["behavior_type"][7, start:length].tolist()
    )
    starts = iter([EpochStart(0, 0), EpochStart(0, 0), EpochStart(1, 0), EpochStart(0, 2)])
    batches = training_pairs(dataset, "train", 8, options, seed=3, next_epoch=lambda: next(starts))
    first, again, other, rest = ([b["owner"].tolist() for b in batches.as_numpy_iterator()] for _ in range(4))
    assert first == again
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*other))
    assert first != other
    assert rest == first[2:]


def test_users_of_the_generated_log_come_back_to_their_interests() -> None:
    """Columns of the published file; early and late categories of a user agree far more than those of two users."""
    config = BehaviorLogConfig(num_users=200, num_categories=40, mean_events=40)
    log = BehaviorLog(config)
    table = log.events()
    assert table.column_names == ["user_id", "item_id", "behavior_type", "user_geohash", "item_category", "time"]
    assert table.equals(BehaviorLog(config).events())
    assert not table.equals(BehaviorLog(config.model_copy(update={"seed": 1})).events())
    frame = table.to_pandas()
    moments = frame["time"].map(lambda text: datetime.datetime.strptime(text, "%Y-%m-%d %H"))
    assert moments.min() >= datetime.datetime(2014, 11, 18)
    assert moments.max() < datetime.datetime(2014, 12, 19)
    assert set(frame["behavior_type"]) == {1, 2, 3, 4}
    assert 0.6 < frame["user_geohash"].isna().mean() < 0.8
    assert (frame.groupby("user_id")["time"].apply(lambda times: times.is_monotonic_increasing)).all()
    assert frame.groupby("user_id").size().min() >= 10
    categories = dict(zip(log.items()["item_id"].to_pylist(), log.items()["item_category"].to_pylist(), strict=True))
    assert frame["item_id"].map(categories).equals(frame["item_category"])
    halves = [group["item_category"].to_numpy() for _, group in frame.groupby("user_id")]
    early = np.stack([np.bincount(half[: len(half) // 2], minlength=41) for half in halves]).astype(float)
    late = np.stack([np.bincount(half[len(half) // 2 :], minlength=41) for half in halves]).astype(float)
    early /= np.linalg.norm(early, axis=1, keepdims=True)
    late /= np.linalg.norm(late, axis=1, keepdims=True)
    cosine = early @ late.T
    own = np.diag(cosine).mean()
    assert own > 0.5
    assert own > 2 * cosine[~np.eye(len(cosine), dtype=bool)].mean()
