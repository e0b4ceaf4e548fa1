"""HSTU against outputs and gradients of two published implementations, and of the variant with rotary time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.hstu_config import HSTUConfig
from tfrec.layers.hstu_block import HSTUBlock
from tfrec.layers.relative_bias import RelativeBias, time_buckets
from tfrec.layers.rotary import rotate
from tfrec.layers.silu_attention import silu_attention
from tfrec.models.hstu import HSTU

# Two files are padded on the left and all number items from 1; here padding is on the right and items start at 2.
SHIFT = 1
MAX_LENGTH = 7
Stored = Mapping[str, Any]


class Windows(NamedTuple):
    """What is real in each row of a file, moved to its start.

    Attributes:
        real: Where the file has it, bool `[batch, window]`.
        length: int32 `[batch]`.
        items: `[batch, window]`.
        times: Milliseconds of the events and of the one after them, int64 `[batch, window + 1]`.
    """

    real: np.ndarray
    length: np.ndarray
    items: np.ndarray
    times: tf.Tensor


def to_right(stored: Stored, times: np.ndarray, after: np.ndarray) -> Windows:
    """Reads `item_ids` with their times, seconds `[batch, window]`, and those of the events after them `[batch]`."""
    real = stored["item_ids"] > 0
    items = np.zeros_like(stored["item_ids"])
    moved = np.zeros((len(real), real.shape[1] + 1), np.int64)
    for row, mask in enumerate(real):
        items[row, : mask.sum()] = stored["item_ids"][row][mask] + SHIFT
        moved[row, : mask.sum()] = times[row][mask]
        moved[row, mask.sum()] = after[row]
    return Windows(real, real.sum(axis=1).astype(np.int32), items, tf.constant(moved * 1000))


def set_block(block: HSTUBlock, stored: Stored, prefix: str) -> None:
    """Weights of `hstu_meta` and `hstu_rope_rms_spec`."""
    block.projection.kernel.assign(stored[f"{prefix}/uvqk"])
    output = "Wo3" if block.gate == "concat" else "Wo"
    block.output_projection.set_weights([stored[f"{prefix}/{output}"], stored[f"{prefix}/bo"]])
    if block.by_distance is not None:
        block.by_distance.assign(by_distance(stored[f"{prefix}/pos_w"]))
    if block.by_time is not None:
        block.by_time.assign(stored[f"{prefix}/ts_w"])


def by_distance(table: np.ndarray) -> np.ndarray:
    """From a table whose row `L - 1 + key - query` is that of a pair to one by `query - key`."""
    return table[:MAX_LENGTH][::-1]


def set_items(model: HSTU, table: np.ndarray) -> None:
    rows = np.zeros(model.items.vectors.shape, np.float32)
    rows[1 + SHIFT : len(table) + SHIFT] = table[1:]
    model.items.vectors.assign(rows)


def of_real(states: tf.Tensor, length: np.ndarray) -> np.ndarray:
    return np.concatenate([states.numpy()[row, :count] for row, count in enumerate(length)])


@pytest.mark.parametrize("biases", ["rab", "norab"])
def test_same_states_scores_and_gradients_as_rectools(golden: Path, biases: str) -> None:
    stored = np.load(golden / "hstu_rectools.npz")
    config = HSTUConfig(
        dim=8,
        heads=2,
        value_dim=5,
        key_dim=3,
        max_length=MAX_LENGTH,
        dropout=0.0,
        relative_positions=biases == "rab",
        relative_times=biases == "rab",
    )
    model = HSTU(config, 16)
    set_items(model, stored["w/item_model/item_net_blocks/0/ids_emb/weight"])
    model.positions.assign(stored["w/pos_encoding_layer/pos_emb/weight"])
    for number, block in enumerate(model.hstu_blocks):
        prefix = f"w/transformer_layers/stu_blocks/{number}"
        block.projection.kernel.assign(stored[f"{prefix}/uvqk_proj"])
        block.output_projection.set_weights(
            [stored[f"{prefix}/output_mlp/weight"].T, stored[f"{prefix}/output_mlp/bias"]]
        )
        for norm, name in ((block.input_norm, "norm_input"), (block.attention_norm, "norm_attn_output")):
            norm.set_weights([stored[f"{prefix}/{name}/weight"], stored[f"{prefix}/{name}/bias"]])
        if block.by_time is not None:
            block.by_time.assign(stored[f"{prefix}/rel_attn/time_weights"])
            block.by_distance.assign(by_distance(stored[f"{prefix}/rel_attn/pos_weights"]))
    real, length, items, times = to_right(stored, stored["timestamps"][:, :-1], stored["timestamps"][:, -1])
    with tf.GradientTape() as tape:
        states = model.encode_window(tf.constant(items), tf.constant(length), times=times)
        units = [tf.math.l2_normalize(part, axis=-1) for part in (states, model.items.vectors.value)]
        places = tf.constant([[row, place] for row, count in enumerate(length) for place in range(count)])
        cosines = tf.matmul(tf.gather_nd(units[0], places), units[1], transpose_b=True)  # [events, vocab]
        logits = tf.concat([tf.zeros_like(cosines[:, :1]), cosines[:, 1 + SHIFT :]], axis=1)  # theirs scores padding
        targets = stored["target_ids"][real]
        chosen = tf.constant(targets > 0)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        loss = tf.reduce_mean(tf.boolean_mask(losses, chosen))
    np.testing.assert_allclose(of_real(states, length), stored[f"{biases}/final"][real], atol=1e-5)
    np.testing.assert_allclose(logits, stored[f"{biases}/cosine_logits_all_items"][real], atol=1e-5)
    np.testing.assert_allclose(loss, stored[f"{biases}/loss_softmax"], rtol=1e-5)
    np.testing.assert_array_equal(states.numpy()[np.arange(MAX_LENGTH) >= length[:, np.newaxis]], 0.0)
    first, second = model.hstu_blocks
    names = {
        "uvqk_proj": first.projection.kernel,
        "rel_attn/time_weights": first.by_time,
        "rel_attn/pos_weights": first.by_distance,
    }
    found = {name: variable.value for name, variable in names.items() if variable is not None}
    gradients = tape.gradient(loss, [*found.values(), model.items.vectors.value, second.output_projection.kernel.value])
    *of_block, of_items, of_output = gradients
    stem = f"{biases}/grad/transformer_layers/stu_blocks"
    np.testing.assert_allclose(of_output.numpy().T, stored[f"{stem}/1/output_mlp/weight"], atol=1e-5)
    of_items = tf.convert_to_tensor(of_items).numpy()[1 + SHIFT :]
    np.testing.assert_allclose(
        of_items, stored[f"{biases}/grad/item_model/item_net_blocks/0/ids_emb/weight"][1:], atol=1e-5
    )
    for name, gradient in zip(found, of_block, strict=True):
        expected = stored[f"{stem}/0/{name}"]
        expected = by_distance(expected) if name.endswith("pos_weights") else expected
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize("variant", ["plain", "concat_ua"])
def test_same_outputs_and_gradients_as_the_research_code(golden: Path, variant: str) -> None:
    stored = np.load(golden / "hstu_meta.npz")
    config = HSTUConfig(
        dim=8,
        heads=2,
        value_dim=4,
        key_dim=3,
        max_length=MAX_LENGTH,
        dropout=0.0,
        norm_scale=False,
        gate="concat" if variant == "concat_ua" else "product",
        positions="none",
        scale_inputs=False,
    )
    model = HSTU(config, 4 * MAX_LENGTH + 2)
    for number, block in enumerate(model.hstu_blocks, start=1):
        set_block(block, stored, f"w/layer{number}")
    model.items.vectors.assign(np.concatenate([np.zeros((2, 8)), stored["x"].reshape(-1, 8)]))
    items = tf.reshape(tf.range(2, 4 * MAX_LENGTH + 2), [4, MAX_LENGTH])
    length = stored["lengths"]
    times = stored["timestamps"]
    times = np.concatenate([times, times[:, -1:]], axis=1)  # the last of a full row repeats its own
    buckets = time_buckets(tf.constant(times[:, 1:] * 1000), tf.constant(times[:, :-1] * 1000)).numpy()
    position = np.arange(MAX_LENGTH)
    pairs = (position[:, np.newaxis] >= position) & (position[:, np.newaxis] < length[:, np.newaxis, np.newaxis])
    np.testing.assert_array_equal(buckets[pairs], stored["time_buckets"][pairs])
    first, second = model.hstu_blocks
    weights = {
        "layer1/uvqk": first.projection.kernel,
        "layer1/ts_w": first.by_time,
        f"layer2/{'Wo3' if variant == 'concat_ua' else 'Wo'}": second.output_projection.kernel,
    }
    with tf.GradientTape() as tape:
        states = model.encode_window(items, tf.constant(length), times=tf.constant(times * 1000))
        loss = tf.reduce_sum(states * stored["loss_projection"])
    np.testing.assert_allclose(states, stored[f"{variant}/out_2layer"], atol=1e-5)
    np.testing.assert_allclose(loss, stored[f"{variant}/loss_linear"], rtol=1e-5)
    gradients = tape.gradient(loss, [variable.value for variable in weights.values()])
    for name, gradient in zip(weights, gradients, strict=True):
        np.testing.assert_allclose(gradient, stored[f"{variant}/grad/{name}"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["rope", "rope_rab"])
def test_rotary_time_and_root_mean_squares(golden: Path, variant: str) -> None:
    stored = np.load(golden / "hstu_rope_rms_spec.npz")
    config = HSTUConfig(
        dim=8,
        heads=2,
        max_length=MAX_LENGTH,
        dropout=0.0,
        norm="rms",
        positions="none",
        rotary_time=True,
        relative_positions=variant == "rope_rab",
        relative_times=variant == "rope_rab",
        similarity="cosine",
    )
    model = HSTU(config, 17)
    set_items(model, stored["w/item_emb"])
    for number, block in enumerate(model.hstu_blocks, start=1):
        set_block(block, stored, f"w/layer{number}")
        block.input_norm.set_weights([stored[f"w/layer{number}/rms_in"]])
        block.attention_norm.set_weights([stored[f"w/layer{number}/rms_attn"]])
    real, length, items, times = to_right(stored, stored["timestamps"], stored["timestamps"][:, -1])
    states = model.encode_window(tf.constant(items), tf.constant(length), times=times)
    np.testing.assert_allclose(of_real(states, length), stored[f"{variant}/layer2_out"][real], atol=1e-5)
    batch = {"item": tf.constant(items), "length": tf.constant(length), "timestamp": times[:, :-1]}
    np.testing.assert_allclose(of_real(model.encode(batch), length), stored[f"{variant}/final_l2"][real], atol=1e-5)


def test_rotation_turns_by_time_differences_only() -> None:
    found = rotate(tf.constant([[1.0, 2.0, 3.0, 4.0]]), tf.constant([3.0]))
    np.testing.assert_allclose(found[0], [-1.41335252, 1.87911807, -2.82885748, 4.05819114], atol=1e-6)
    query, key = tf.constant([[1.0, 0.0, 0.5, -1.0]]), tf.constant([[0.2, 0.3, -0.4, 1.0]])

    def product(at: float, other: float) -> float:
        turned = (rotate(vector, tf.constant([time], tf.float64)) for vector, time in ((query, at), (key, other)))
        return float(tf.reduce_sum(tf.multiply(*turned)))

    # By hand: spec 03, section 5c.
    pairs = {(0.0, 0.0): -1.0, (5.0, 3.0): -1.44844912, (1002.0, 1000.0): -1.44844912, (3.0, 5.0): -0.55115089}
    for (at, other), expected in pairs.items():
        assert product(at, other) == pytest.approx(expected, abs=1e-6)
    for at in (17.0, 1e6):
        assert float(tf.norm(rotate(query, tf.constant([at])))) == pytest.approx(1.5, abs=1e-6)


def test_weights_are_silu_of_the_scores() -> None:
    # Scores [[1, *], [.5, -1]] of two keys: queries are rows of scores, keys are unit vectors.
    query, key = tf.constant([[[[1.0, 9.0], [0.5, -1.0]]]]), tf.eye(2)[tf.newaxis, tf.newaxis]
    value = tf.constant([[[[1.0, 2.0], [3.0, 4.0]]]])
    found = silu_attention(query, key, value, RelativeBias(None, None), tf.fill([2], 2.0))
    expected = [[0.36552929, 0.73105858], [-0.24779730, -0.22665318]]
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-7)
