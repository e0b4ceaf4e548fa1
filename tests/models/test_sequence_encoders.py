"""SASRec, HSTU and the GRU encoder: causal, indifferent to padding, the same in a batch as alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.config.gru_encoder_config import GRUEncoderConfig
from tfrec.config.hstu_config import HSTUConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.models.gru_encoder import GRUEncoder
from tfrec.models.hstu import HSTU
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_encoder import SequenceEncoder

VOCAB = 15
VARIANTS = [
    {"layers": 2},
    {"norm": "pre"},
    {"norm": "post", "feed_forward": "gelu", "positions": "from_start"},
    {"norm": "reference", "attention_projection": False},
    {"norm": "pre", "gated": True, "feed_forward": "swiglu", "expansion": 1.5, "positions": "none"},
    {"norm": "pre", "similarity": "cosine", "norm_kind": "rms"},
    {"gate": "concat"},
    {"gate": "product", "norm": "rms", "rotary_time": True, "positions": "none", "normalize_by": "length"},
]


def new_model(*, max_length: int = 6, **settings: object) -> SequenceEncoder:
    if "layers" in settings:
        return GRUEncoder(GRUEncoderConfig(dim=8, max_length=max_length, init_stddev=0.5, **settings), VOCAB, seed=3)
    if "gate" in settings:
        return HSTU(HSTUConfig(dim=8, heads=2, max_length=max_length, init_stddev=0.5, **settings), VOCAB, seed=3)
    config = SASRecConfig(dim=8, heads=2, max_length=max_length, dropout=0.3, init_stddev=0.5, **settings)
    return SASRec(config, VOCAB, seed=3)


def batch_of(*sequences: list[int], width: int = 0, num_targets: int = 1) -> dict[str, tf.Tensor]:
    width = max(width, *(len(sequence) for sequence in sequences))
    items = np.zeros((len(sequences), width), np.int32)
    for row, sequence in enumerate(sequences):
        items[row, : len(sequence)] = sequence
    length = np.array([len(sequence) for sequence in sequences], np.int32)
    targets = np.minimum(num_targets, np.maximum(length - 1, 0)).astype(np.int32)
    return {"item": tf.constant(items), "length": tf.constant(length), "num_targets": tf.constant(targets)}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_state_sees_its_past_only(variant: dict[str, object]) -> None:
    model = new_model(**variant)
    states = model.encode(batch_of([2, 3, 4, 5, 6])).numpy()[0]
    changed = model.encode(batch_of([2, 3, 4, 9, 10])).numpy()[0]
    np.testing.assert_allclose(states[:3], changed[:3], atol=1e-6)
    assert np.abs(states[3:] - changed[3:]).max(axis=1).min() > 1e-3


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_padding_changes_nothing_and_stays_zero(variant: dict[str, object]) -> None:
    model = new_model(**variant)
    alone = model.encode(batch_of([7, 8, 9])).numpy()
    padded = model.encode(batch_of([7, 8, 9], [2, 3, 4, 5, 6], width=6)).numpy()
    np.testing.assert_allclose(padded[0, :3], alone[0], atol=1e-6)
    np.testing.assert_array_equal(padded[0, 3:], 0.0)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_rows_of_padding_only_give_zeros_and_finite_gradients(variant: dict[str, object]) -> None:
    model = new_model(**variant)
    batch = {"item": tf.constant([[0, 0, 0], [2, 3, 0]]), "length": tf.constant([0, 2])}
    with tf.GradientTape() as tape:
        states = model.encode(batch)
        loss = tf.reduce_sum(states * states)
    np.testing.assert_array_equal(states[0], 0.0)
    for gradient in tape.gradient(loss, [variable.value for variable in model.trainable_variables]):
        if gradient is not None:
            assert np.isfinite(tf.convert_to_tensor(gradient)).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(2, VOCAB - 1), min_size=2, max_size=9), min_size=1, max_size=4), st.integers(1, 8))
def test_each_target_is_scored_as_if_it_were_served_alone(sequences: list[list[int]], num_targets: int) -> None:
    model = _MODEL
    scores = model.score_targets(batch_of(*sequences, num_targets=num_targets)).numpy()
    row = 0
    for sequence in sequences:
        for position in range(max(1, len(sequence) - num_targets), len(sequence)):
            history = sequence[:position][-model.config.max_length :]
            state = model.encode(batch_of(history)).numpy()[0, -1]
            expected = model.items.vectors.numpy() @ state
            np.testing.assert_allclose(scores[row], expected, atol=1e-5)
            row += 1
    assert row == len(scores)


_MODEL = new_model()


def test_only_the_latest_events_are_read() -> None:
    model = new_model(max_length=3)
    long = model.score_targets(batch_of([9, 8, 7, 2, 3, 4, 5]))
    short = model.score_targets(batch_of([2, 3, 4, 5]))
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_positions_count_from_the_latest_event() -> None:
    model = new_model()
    table = model.positions.numpy()
    table[0, 0] += 100.0  # position 0 is that of the latest event
    before = model.encode(batch_of([2, 3, 4])).numpy()[0]
    model.positions.assign(table)
    after = model.encode(batch_of([2, 3, 4])).numpy()[0]
    np.testing.assert_allclose(after[:2], before[:2], atol=1e-6)
    assert np.abs(after[2] - before[2]).max() > 0.1


def test_dropout_depends_on_the_seed_alone() -> None:
    model = new_model()
    items, length = tf.constant([[2, 3, 4, 5]]), tf.constant([4])
    first = model.encode_window(items, length, dropout_seed=tf.constant([1, 2]))
    again = model.encode_window(items, length, dropout_seed=tf.constant([1, 2]))
    other = model.encode_window(items, length, dropout_seed=tf.constant([1, 3]))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_cosine_scores_are_cosines() -> None:
    model = new_model(similarity="cosine")
    state = model.encode(batch_of([2, 3])).numpy()[0, -1]
    scores = model.score_targets(batch_of([2, 3, 4])).numpy()[0]
    vectors = model.items.vectors.numpy()[2:]
    expected = vectors @ state / np.linalg.norm(vectors, axis=1) / np.linalg.norm(state)
    np.testing.assert_allclose(scores[2:], expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"norm": "post", "gated": True}], ids=str)
def test_an_impossible_architecture_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"`heads`|`gated`"):
        SASRecConfig(**{"dim": 8, **wrong})


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_reaches_the_products_of_the_gru_and_not_its_state(policy: str) -> None:
    config = GRUEncoderConfig(dim=8, layers=2, max_length=6, init_stddev=0.5)
    full, mixed = GRUEncoder(config, VOCAB, seed=3), GRUEncoder(config, VOCAB, seed=3, dtype=policy)
    assert {variable.dtype for variable in mixed.trainable_variables} == {"float32"}
    items, length = tf.constant([[2, 3, 4, 5, 6]]), tf.constant([5])
    expected, states = full.encode_window(items, length), mixed.encode_window(items, length)
    assert states.dtype == tf.float32
    # Five steps of two layers, each product rounded to 8 (bfloat16) or 11 bits: near, and not the same.
    np.testing.assert_allclose(states, expected, atol=0.02)

    graph = tf.function(mixed.encode_window).get_concrete_function(items, length).graph.as_graph_def()
    nodes = [node for function in graph.library.function for node in function.node_def]
    products = [node.attr["T"].type for node in [*graph.node, *nodes] if node.op == "MatMul"]
    assert products
    assert set(products) == {tf.as_dtype(mixed.compute_dtype).as_datatype_enum}
    gates = [node.attr["T"].type for node in [*graph.node, *nodes] if node.op in ("Sigmoid", "Tanh")]
    assert set(gates) == {tf.float32.as_datatype_enum}
