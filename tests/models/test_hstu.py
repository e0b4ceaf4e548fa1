"""HSTU: what it knows of times, and events that are encoded one after another."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.hstu_config import HSTUConfig
from tfrec.errors import ConfigError
from tfrec.models.hstu import HSTU

VOCAB = 15
MAX_LENGTH = 6
VARIANTS = [
    {"positions": "none", "rotary_time": True},
    {"positions": "from_start", "norm": "rms", "normalize_by": "length", "similarity": "cosine"},
    {"positions": "none", "rotary_time": True, "relative_positions": False, "relative_times": False},
    {"positions": "none", "output_norm": True, "gate": "concat"},
]


def new_model(**settings: object) -> HSTU:
    model = HSTU(HSTUConfig(dim=8, heads=2, max_length=MAX_LENGTH, init_stddev=0.5, **settings), VOCAB, seed=3)
    random = np.random.default_rng(5)
    for weight in model.trainable_weights:  # those of a new model are too small for biases to matter
        weight.assign(random.normal(0.0, 0.5, weight.shape))
    return model


ITEMS = tf.constant([[2, 3, 4, 5, 6], [7, 8, 9, 10, 11]])
DAY = 86_400_000
TIMES = tf.constant([[0, 5_000, 90_000, DAY, 2 * DAY, 9 * DAY], [0, DAY, DAY, 3 * DAY, 3 * DAY, 4 * DAY]], tf.int64)
FULL = tf.constant([5, 5])


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_only_distances_in_time_matter(variant: dict[str, object]) -> None:
    model = new_model(**variant)
    states = model.encode_window(ITEMS, FULL, times=TIMES)
    # In float32, seconds of today have steps of two minutes.
    shifted = model.encode_window(ITEMS, FULL, times=TIMES + 1_760_000_000_123)
    np.testing.assert_array_equal(states, shifted)
    stretched = model.encode_window(ITEMS, FULL, times=TIMES * 3)
    if variant.get("relative_times", True) or variant.get("rotary_time"):
        assert np.abs(states - stretched).max() > 1e-3


def test_a_state_knows_the_time_of_the_next_event_and_of_no_later_one() -> None:
    model = new_model(positions="none")
    states = model.encode_window(ITEMS, FULL, times=TIMES).numpy()
    later = TIMES.numpy()
    later[:, 3:] += 50 * DAY  # of the fourth event on
    changed = model.encode_window(ITEMS, FULL, times=tf.constant(later)).numpy()
    np.testing.assert_array_equal(states[:, :2], changed[:, :2])
    assert np.abs(states - changed)[:, 2].max() > 1e-3


def test_the_time_of_the_target_is_what_the_model_is_told_when_it_ranks() -> None:
    model = new_model(positions="none")
    items = tf.concat([ITEMS, [[12], [13]]], axis=1)
    batch = {"item": items, "timestamp": TIMES, "length": FULL + 1, "num_targets": tf.constant([2, 2])}
    states = model.encode_window(ITEMS, FULL, times=TIMES).numpy()
    found = model.encode_targets(batch).numpy().reshape(2, 2, 8)
    np.testing.assert_allclose(found, states[:, 3:], atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_one_event_after_another_is_the_same_as_all_at_once(variant: dict[str, object]) -> None:
    model = new_model(**variant)
    batch = {"item": ITEMS, "length": FULL, "timestamp": TIMES[:, :-1]}
    whole = model._states(ITEMS, FULL, times=TIMES).numpy()
    assert model.encode(batch).shape == whole.shape
    window = model.empty_window(2)
    found = []
    for first, last in ((0, 1), (1, 3), (3, 4), (4, 5)):
        states, window = model.extend(window, ITEMS[:, first:last], TIMES[:, first : last + 1])
        found.append(states.numpy())
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)
    assert window.length.numpy().tolist() == [5, 5]


def test_kept_windows_of_different_lengths() -> None:
    model = new_model(**VARIANTS[0])
    _, window = model.extend(model.empty_window(2), ITEMS[:, :2], TIMES[:, :3])
    window = window._replace(length=tf.constant([2, 1]))  # the second user goes back by one event
    states, window = model.extend(
        window, tf.constant([[4], [12]]), tf.constant([[90_000, DAY], [DAY, 3 * DAY]], tf.int64)
    )
    rows = [([2, 3, 4], [0, 5_000, 90_000, DAY]), ([7, 12], [0, DAY, 3 * DAY])]
    for row, (items, times) in enumerate(rows):
        alone = model.encode_window(tf.constant([items]), tf.constant([len(items)]), times=tf.constant([times]))
        np.testing.assert_allclose(states[row, 0], alone[0, -1], atol=1e-5)
    assert window.length.numpy().tolist() == [3, 2]


def test_a_full_window_takes_no_more_events() -> None:
    model = new_model(**VARIANTS[0])
    _, window = model.extend(model.empty_window(2), ITEMS, TIMES)
    with pytest.raises(tf.errors.InvalidArgumentError, match="The window is full"):
        model.extend(window, ITEMS[:, :2], TIMES[:, :3])
    with pytest.raises(ConfigError, match="positions=from_end"):
        new_model().empty_window(1)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_norm_of_the_output(norm: str) -> None:
    model = new_model(output_norm=True, norm=norm)
    for weight in model.output_norm.trainable_weights:
        weight.assign(tf.range(1.0, 9.0))
    lengths = tf.constant([5, 3])
    states = model.encode_window(ITEMS, lengths, times=TIMES).numpy()
    model.output_norm = None
    raw = model.encode_window(ITEMS, lengths, times=TIMES).numpy()
    center = raw.mean(axis=-1, keepdims=True) if norm == "layer" else 0.0
    root = np.sqrt(np.square(raw - center).mean(axis=-1, keepdims=True) + 1e-6)
    expected = (raw - center) / root * np.arange(1.0, 9.0) + (np.arange(1.0, 9.0) if norm == "layer" else 0.0)
    np.testing.assert_allclose(states[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(states[1, :3], expected[1, :3], atol=1e-4)
    assert not states[1, 3:].any()  # padding


@pytest.mark.parametrize(
    "wrong", [{"heads": 3}, {"heads": 3, "key_dim": 2}, {"key_dim": 3, "rotary_time": True}], ids=str
)
def test_an_impossible_architecture_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"`heads`|`rotary_time`"):
        HSTUConfig(**{"dim": 8, **wrong})


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_and_has_gradients(policy: str) -> None:
    settings = {"positions": "none", "rotary_time": True, "norm": "rms", "norm_scale": True, "output_norm": True}
    full = new_model(**settings)
    mixed = HSTU(full.config, VOCAB, seed=3, dtype=policy)
    mixed.set_weights(full.get_weights())
    assert {variable.dtype for variable in mixed.trainable_variables} == {"float32"}
    expected = full.encode_window(ITEMS, FULL, times=TIMES).numpy()
    with tf.GradientTape() as tape:
        states = mixed.encode_window(ITEMS, FULL, times=TIMES)
        loss = tf.reduce_sum(tf.square(tf.cast(states, tf.float32)))
    assert states.dtype == mixed.compute_dtype
    np.testing.assert_allclose(tf.cast(states, tf.float32), expected, atol=0.03 * np.abs(expected).max())
    for gradient in tape.gradient(loss, [variable.value for variable in mixed.trainable_variables]):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()
