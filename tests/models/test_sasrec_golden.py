"""SASRec against outputs of three published implementations, with their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.models.sasrec import SASRec

# Golden files are padded on the left with id 0 (gSASRec: N + 1) and number items from 1; here padding is on the right
# and items start at 2.
SHIFT = 1


def to_right_padded(ids: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves the real ids of each row to its start; returns them and the lengths."""
    items = np.zeros_like(ids)
    for row, mask in enumerate(real):
        items[row, : mask.sum()] = ids[row][mask] + SHIFT
    return items, real.sum(axis=1)


def real_rows(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Returns the rows of real positions, sequence by sequence: `[events, dim]`."""
    return values[real]


def new_model(vocab: int, **settings: object) -> SASRec:
    config = SASRecConfig(dim=8, heads=2, blocks=2, max_length=8, dropout=0.0, **settings)
    return SASRec(config, vocab)


def set_dense(layer, kernel: np.ndarray, bias: np.ndarray) -> None:
    layer.set_weights([kernel.reshape(kernel.shape[0], -1).T, bias])  # the files hold [out, in(, 1)]


def set_table(model: SASRec, table: np.ndarray) -> None:
    """Writes rows 1.. of a table whose row 0 is padding."""
    rows = np.zeros(model.items.vectors.shape, np.float32)
    rows[1 + SHIFT : len(table) + SHIFT] = table[1:]
    model.items.vectors.assign(rows)


def set_joined_attention(attention, stored, prefix: str) -> None:
    """Splits an `in_proj` of queries, keys and values."""
    kernels = np.split(stored[f"{prefix}/in_proj_weight"], 3)
    biases = np.split(stored[f"{prefix}/in_proj_bias"], 3)
    for layer, kernel, bias in zip((attention.query, attention.key, attention.value), kernels, biases, strict=True):
        set_dense(layer, kernel, bias)
    set_dense(attention.output_projection, stored[f"{prefix}/out_proj/weight"], stored[f"{prefix}/out_proj/bias"])


def set_norm(layer, stored, prefix: str) -> None:
    layer.set_weights([stored[f"{prefix}/weight"], stored[f"{prefix}/bias"]])


@pytest.mark.parametrize(
    ("variant", "norm"),
    [("head_post", "post"), ("head_pre", "pre"), ("v33bc1d8", "reference"), ("v30c43cf", "reference")],
)
def test_same_states_as_the_pytorch_reference(golden: Path, variant: str, norm: str) -> None:
    stored = np.load(golden / "sasrec_pmixer.npz")
    model = new_model(22, norm=norm, norm_epsilon=1e-8)
    set_table(model, stored["w/item_emb/weight"])
    model.positions.assign(stored["w/pos_emb/weight"][:0:-1])  # row p is position p from the left, 1 to 8
    for number, block in enumerate(model.transformer_blocks):
        set_joined_attention(block.attention, stored, f"w/attention_layers/{number}")
        set_norm(block.first_norm, stored, f"w/attention_layernorms/{number}")
        set_norm(block.second_norm, stored, f"w/forward_layernorms/{number}")
        for layer, conv in ((block.feed_forward.inner, "conv1"), (block.feed_forward.outer, "conv2")):
            prefix = f"w/forward_layers/{number}/{conv}"
            set_dense(layer, stored[f"{prefix}/weight"], stored[f"{prefix}/bias"])
    set_norm(model.final_norm, stored, "w/last_layernorm")
    # The reference lets padded keys take part; a sequence without padding (row 2, eight events) has none.
    row = 2
    assert (stored["seq"][row] > 0).all()
    items = stored["seq"][row : row + 1] + SHIFT
    states = model.encode({"item": tf.constant(items), "length": tf.constant([8])})
    np.testing.assert_allclose(states[0], stored[f"{variant}/final"][row], atol=2e-5)
    scores = states[0, -1].numpy() @ model.items.vectors.numpy().T
    np.testing.assert_allclose(scores[1 + SHIFT :], stored[f"{variant}/scores_last_all_items"][row][1:], atol=5e-5)


def test_same_states_as_gsasrec_whatever_the_padding(golden: Path) -> None:
    stored = np.load(golden / "sasrec_gsasrec.npz")
    model = new_model(22, norm="reference", norm_epsilon=1e-5, scale_inputs=False, attention_projection=False)
    table = stored["w/item_embedding/weight"]
    real = stored["model_input"] < len(table) - 1
    set_table(model, table[:-1])
    model.positions.assign(stored["w/position_embedding/weight"][::-1])
    for number, block in enumerate(model.transformer_blocks):
        prefix = f"w/transformer_blocks/{number}"
        attention = block.attention
        for layer, name in ((attention.query, "query"), (attention.key, "key"), (attention.value, "val")):
            stem = f"{prefix}/multihead_attention/{name}_proj"
            set_dense(layer, stored[f"{stem}/weight"], stored[f"{stem}/bias"])
        set_norm(block.first_norm, stored, f"{prefix}/first_norm")
        set_norm(block.second_norm, stored, f"{prefix}/second_norm")
        set_dense(block.feed_forward.inner, stored[f"{prefix}/dense1/weight"], stored[f"{prefix}/dense1/bias"])
        set_dense(block.feed_forward.outer, stored[f"{prefix}/dense2/weight"], stored[f"{prefix}/dense2/bias"])
    set_norm(model.final_norm, stored, "w/seq_norm")
    items, length = to_right_padded(stored["model_input"], real)
    states = model.encode({"item": tf.constant(items), "length": tf.constant(length.astype(np.int32))}).numpy()
    found = np.concatenate([states[row, :count] for row, count in enumerate(length)])
    np.testing.assert_allclose(found, real_rows(stored["final"], real), atol=2e-5)


def test_same_states_scores_and_gradients_as_ur4rec(golden: Path) -> None:
    stored = np.load(golden / "sasrec_ur4rec.npz")
    model = new_model(22, norm="post", norm_epsilon=1e-5, scale_inputs=False)
    real = stored["valid_mask"].astype(bool)
    set_table(model, stored["w/item_embedding/weight"])
    model.positions.assign(stored["w/positional_embedding/weight"][::-1])
    for number, block in enumerate(model.transformer_blocks):
        prefix = f"w/blocks/{number}"
        set_joined_attention(block.attention, stored, f"{prefix}/attention")
        set_norm(block.first_norm, stored, f"{prefix}/norm1")
        set_norm(block.second_norm, stored, f"{prefix}/norm2")
        for layer, conv in ((block.feed_forward.inner, "conv1"), (block.feed_forward.outer, "conv2")):
            stem = f"{prefix}/feed_forward/{conv}"
            set_dense(layer, stored[f"{stem}/weight"], stored[f"{stem}/bias"])
    set_norm(model.final_norm, stored, "w/layer_norm")
    items, length = to_right_padded(stored["item_ids"], real)
    length = length.astype(np.int32)
    candidates = stored["candidates"] + SHIFT
    with tf.GradientTape() as tape:
        states = model.encode({"item": tf.constant(items), "length": tf.constant(length)})
        last = tf.gather(states, length - 1, batch_dims=1)  # [batch, dim]
        scores = tf.einsum("bd,bcd->bc", last, model.items(candidates))
        loss = tf.reduce_mean(tf.nn.softplus(scores[:, 1:] - scores[:, :1]))
    found = np.concatenate([states[row, :count] for row, count in enumerate(length)])
    np.testing.assert_allclose(found, real_rows(stored["final_real_positions"], real), atol=2e-5)
    np.testing.assert_allclose(scores, stored["scores_last_position_corrected"], atol=2e-5)
    np.testing.assert_allclose(loss, stored["loss_bpr_softplus_corrected_candidate0_positive"], rtol=1e-5)
    attention = model.transformer_blocks[0].attention
    layers = (attention.query, attention.key, attention.value)
    table, *kernels = tape.gradient(loss, [model.items.vectors.value, *(layer.kernel.value for layer in layers)])
    by_row = tf.convert_to_tensor(table).numpy()[1 + SHIFT :]
    np.testing.assert_allclose(by_row, stored["grad/item_embedding/weight"][1:], atol=1e-5)
    expected = np.split(stored["grad/blocks/0/attention/in_proj_weight"], 3)
    for kernel, part in zip(kernels, expected, strict=True):
        np.testing.assert_allclose(kernel.numpy().T, part, atol=1e-5)
