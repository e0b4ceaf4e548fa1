"""Crop, reorder and mask by hand, what stays true in targets, and draws that depend on seed and batch number only."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from tfrec.config.augmentation_config import AugmentationConfig
from tfrec.data.augmentation import (
    augment_batch,
    augmented_batches,
    crop_sequences,
    mask_inputs,
    reorder_sequences,
)
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError

ALL = AugmentationConfig(crop_probability=0.5, reorder_probability=0.5, mask_probability=0.5)


def make(rows: list[list[int]], num_targets: list[int] | None = None) -> dict[str, tf.Tensor]:
    width = max(map(len, rows))
    item = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
    return {
        "item": tf.constant(item),
        "timestamp": tf.constant(np.where(item > 0, 100 + np.arange(width), 0), tf.int64),
        "length": tf.constant([len(row) for row in rows], tf.int32),
        "num_targets": tf.constant(num_targets or [len(row) - 1 for row in rows], tf.int32),
        "user": tf.constant(range(2, 2 + len(rows)), tf.int32),
    }


def plain(batch: dict[str, tf.Tensor]) -> dict[str, list]:
    return {name: value.numpy().tolist() for name, value in batch.items()}


def same(batch: dict[str, tf.Tensor], other: dict[str, tf.Tensor]) -> bool:
    return plain(batch) == plain(other)


def test_crop():
    batch = make([[10, 11, 12, 13, 14], [20, 21, 22, 23, 24], [30, 31], [40, 41, 42]], [4, 1, 1, 2])
    cropped = plain(crop_sequences(batch, tf.constant([True] * 3 + [False]), 0.6, tf.constant([0.0, 0.99, 0.5, 0.5])))
    # 0.6 of five events are three, the first and the last three; of two events two are left.
    assert cropped["item"] == [[10, 11, 12, 0, 0], [22, 23, 24, 0, 0], [30, 31, 0, 0, 0], [40, 41, 42, 0, 0]]
    assert cropped["timestamp"][:2] == [[100, 101, 102, 0, 0], [102, 103, 104, 0, 0]]
    assert cropped["length"] == [3, 3, 2, 3]
    assert cropped["num_targets"] == [2, 1, 1, 2]
    assert cropped["user"] == [2, 3, 4, 5]


@pytest.mark.parametrize(("place", "first"), [(0.0, 0), (0.33, 0), (0.34, 1), (0.66, 1), (0.67, 2), (0.9999999, 2)])
def test_every_place_of_a_crop_is_equally_likely(place, first):
    """Three of five events have three places, each a third of the numbers from 0 to 1."""
    batch = make([[10, 11, 12, 13, 14]])
    cropped = crop_sequences(batch, tf.constant([True]), 0.6, tf.constant([place]))
    assert cropped["item"].numpy()[0, 0] == 10 + first


@pytest.mark.parametrize(("keep", "kept"), [(0.7, 7), (0.75, 7), (0.1, 2), (0.999, 9)])
def test_share_is_rounded_down(keep, kept):
    cropped = crop_sequences(make([list(range(2, 12))]), tf.constant([True]), keep, tf.constant([0.0]))
    assert cropped["length"].numpy().tolist() == [kept]


def test_reorder():
    batch = make([[10, 11, 12, 13, 14], [20, 21, 22, 23, 24], [30, 31, 32], [40, 41, 42, 43]])
    noise = tf.constant([[0.9, 0.1, 0.5, 0.0, 0.0], [0.0, 0.0, 0.9, 0.5, 0.1], [0.9, 0.5, 0.1, 0.7, 0.2], [0.9] * 5])
    chosen = tf.constant([True, True, True, False])
    varied = plain(reorder_sequences(batch, chosen, 0.6, tf.constant([0.0, 0.99, 0.99, 0.0]), noise))
    # Three of five: 10 11 12 with 0.9 0.1 0.5, then 22 23 24 with 0.9 0.5 0.1. One of three stays where it is.
    assert varied["item"] == [
        [11, 12, 10, 13, 14],
        [20, 21, 24, 23, 22],
        [30, 31, 32, 0, 0],
        [40, 41, 42, 43, 0],
    ]
    del varied["item"]
    assert varied == {name: value for name, value in plain(batch).items() if name != "item"}


def test_mask_hides_inputs_and_leaves_targets():
    batch = make([[10, 11, 12, 13, 14, 15], [20, 21, 22], [30, 31], [40, 41, 42, 43]])
    noise = tf.constant([[0.5, 0.1, 0.9, 0.2, 0.3, 0.0], [0.9, 0.8, 0.0, 0, 0, 0], [0.5] + [0.0] * 5, [0.0] * 6])
    chosen = tf.constant([True, True, True, False])
    varied = plain(mask_inputs(batch, chosen, 0.5, noise))
    # Half of five inputs, rounded down, are two (0.1 and 0.2); of two or one input one; the last event is no input.
    assert varied["inputs"] == [
        [10, 1, 12, 1, 14, 15],
        [20, 1, 22, 0, 0, 0],
        [1, 31, 0, 0, 0, 0],
        [40, 41, 42, 43, 0, 0],
    ]
    del varied["inputs"]
    assert varied == plain(batch)


def test_a_sequence_of_one_event_has_nothing_to_mask():
    varied = mask_inputs(make([[10], [20, 21]]), tf.constant([True, True]), 1.0, tf.zeros([2, 2]))
    assert varied["inputs"].numpy().tolist() == [[10, 0], [1, 21]]


def random_batch(seed: int, size: int = 500) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    return make([rng.integers(2, 90, rng.integers(2, 30)).tolist() for _ in range(size)])


def test_all_kinds_together_keep_the_contract_of_a_batch():
    batch = random_batch(1)
    varied = augment_batch(batch, ALL, tf.constant([5, 0]))
    before, after = plain(batch), plain(varied)
    assert after.keys() == before.keys() | {"inputs"}
    for number, length in enumerate(after["length"]):
        item, inputs = after["item"][number], after["inputs"][number]
        assert 2 <= length <= before["length"][number]
        assert item[length:] == inputs[length:] == [0] * (len(item) - length)
        assert 1 <= after["num_targets"][number] == length - 1
        assert set(item[:length]) <= set(before["item"][number])
        assert all(seen in (1, true) for seen, true in zip(inputs, item, strict=True))
        assert inputs[length - 1] == item[length - 1] != 1
        times = after["timestamp"][number][:length]
        assert times == sorted(times)
        assert 0 not in times
    assert after["user"] == before["user"]


@pytest.mark.parametrize("kind", ["crop", "reorder", "mask"])
def test_the_share_of_varied_sequences_is_the_probability(kind):
    """5,000 draws with probability 0.3: three standard deviations are 0.0195."""
    rows = [list(range(2, 22))] * 5000
    config = AugmentationConfig(**{f"{kind}_probability": 0.3})
    varied = augment_batch(make(rows), config, tf.constant([1, 2]))
    column = varied["inputs" if kind == "mask" else "item"].numpy()
    share = np.mean([row.tolist() != rows[0] for row in column])
    assert abs(share - 0.3) < 0.0195
    lengths = set(varied["length"].numpy().tolist())
    assert lengths == ({20, 12} if kind == "crop" else {20})
    if kind == "mask":
        assert set((column == 1).sum(axis=1)) == {0, 3}  # 0.2 of 19 inputs
        hidden = (column == 1).mean(axis=0)  # each of 19 inputs in 3 / 19 of 0.3
        assert hidden[19] == 0
        np.testing.assert_allclose(hidden[:19], 0.3 * 3 / 19, atol=0.02)


def test_kinds_are_drawn_independently():
    rows = [list(range(2, 22))] * 5000
    config = ALL.model_copy(update={"reorder_share": 1.0})  # 12 or 20 events stay in order once in 12! times
    varied = augment_batch(make(rows), config, tf.constant([3, 4]))
    length, item, inputs = (varied[name].numpy() for name in ("length", "item", "inputs"))
    consecutive = [bool((np.diff(row[:n]) == 1).all()) for row, n in zip(item, length, strict=True)]
    kinds = np.stack([length < 20, ~np.array(consecutive), (inputs == 1).any(axis=1)], axis=1)
    for combination in itertools.product([False, True], repeat=3):
        assert abs(np.mean((kinds == combination).all(axis=1)) - 0.125) < 0.02


def test_draws_depend_on_the_seed_only():
    batch = random_batch(2)
    first = augment_batch(batch, ALL, tf.constant([5, 0]))
    tf.random.set_seed(99)
    assert same(first, augment_batch(batch, ALL, tf.constant([5, 0])))
    assert not same(first, augment_batch(batch, ALL, tf.constant([5, 1])))
    assert not same(first, augment_batch(batch, ALL, tf.constant([6, 0])))


@pytest.fixture
def batches(convert_rows) -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    rows = [(session, int(item), step) for session in range(60) for step, item in enumerate(rng.integers(0, 9, 8))]
    return sequence_dataset(convert_rows(rows), "train", 16)


def test_batches_are_varied_by_number_so_that_a_resumed_run_goes_on(batches):
    whole = [plain(batch) for batch in augmented_batches(batches, ALL, split="train", seed=7)]
    assert whole == [plain(batch) for batch in augmented_batches(batches, ALL, split="train", seed=7)]
    rest = [plain(batch) for batch in augmented_batches(batches, ALL, split="train", seed=7).skip(2)]
    assert rest == whole[2:]
    assert whole != [plain(batch) for batch in augmented_batches(batches, ALL, split="train", seed=8)]
    # Batches of the same shape are varied differently.
    lengths = [tuple(batch["length"]) for batch in whole[:3]]
    assert len(set(lengths)) == 3


def test_nothing_is_varied_by_default(batches):
    assert not AugmentationConfig().enabled
    assert augmented_batches(batches, AugmentationConfig(), split="train", seed=0) is batches


@pytest.mark.parametrize("split", ["valid", "test"])
def test_only_training_is_varied(batches, split):
    with pytest.raises(ConfigError, match=f"Only the split `train` is augmented, received `{split}`"):
        augmented_batches(batches, ALL, split=split, seed=0)


@pytest.mark.parametrize(
    "values", [{"crop_probability": 1.1}, {"crop_keep": 0}, {"crop_keep": 1}, {"mask_share": 0}, {"reorder": 0.5}]
)
def test_nonsense_is_refused(values):
    with pytest.raises(ValidationError):
        AugmentationConfig(**values)
