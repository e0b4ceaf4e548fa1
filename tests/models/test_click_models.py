"""Every click model by registration: padding, order, gradients, learning, saving."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.data.impressions.fields import Field, FieldSet
from tfrec.errors import ConfigError
from tfrec.layers.blockwise_attention import blockwise_attention
from tfrec.models.impression_model import ImpressionModel
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.registry import model_class, model_names

MODELS = [name for name in model_names() if issubclass(model_class(name), ImpressionModel)]
SMALL: dict[str, Any] = {"embedding_dim": 4, "max_length": 6, "hidden": [8]}
FIELDS = FieldSet(
    label="clicked",
    fields=(
        Field(name="inventory_id", kind="category", vocabulary="inventory_id", size=6),
        Field(name="hour", kind="category", vocabulary="hour", size=5),
        Field(name="age", kind="number"),
        Field(name="seq", kind="ids", vocabulary="seq", size=9, max_length=6),
    ),
)


def new_model(name: str, **settings: Any) -> ImpressionModel:
    cls = model_class(name)
    config = cls.config_class(**({} if name == "prior" else {**SMALL, **settings}))
    model: ImpressionModel = cls(config, FIELDS, click_rate=0.2, seed=1)
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:  # vectors begin so small that nothing would be seen
        if len(weight.shape) == 2:
            weight.assign(rng.normal(size=weight.shape) * 0.5)
    return model


def new_batch(rows: int = 6) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    lengths = np.array([6, 0, 3, 1, 5, 2] * (rows // 6), np.int32)
    seq = rng.integers(2, 9, (rows, 6)) * (np.arange(6) < lengths[:, None])
    batch = {
        "inventory_id": rng.integers(1, 6, rows).astype(np.int32),
        "hour": rng.integers(1, 5, rows).astype(np.int32),
        "age": rng.random(rows).astype(np.float32),
        "seq": seq.astype(np.int32),
        "seq/length": lengths,
    }
    batch["label"] = (batch["inventory_id"] % 2 == 0).astype(np.float32)
    return {name: tf.constant(values) for name, values in batch.items()}


def bce(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


def test_all_are_registered() -> None:
    assert {"feseq", "bst", "dnn", "dcn_v2", "autoint", "din", "lstm_mlp", "prior"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_rows_do_not_see_one_another_nor_padding(name: str) -> None:
    model, batch = new_model(name), new_batch()
    together = model.logits(batch).numpy()
    assert np.isfinite(together).all()
    order = [4, 1, 5, 0, 3, 2]
    shuffled = model.logits({key: tf.gather(value, order) for key, value in batch.items()})
    np.testing.assert_allclose(shuffled, together[order], rtol=1e-4, atol=1e-6)
    for row, length in enumerate(batch["seq/length"].numpy()):
        alone = {key: value[row : row + 1] for key, value in batch.items()}
        alone["seq"] = alone["seq"][:, :length]
        np.testing.assert_allclose(model.logits(alone)[0], together[row], rtol=1e-4, atol=1e-6)
    noise = tf.where(batch["seq"] == 0, 7, batch["seq"])
    np.testing.assert_allclose(model.logits({**batch, "seq": noise}), together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_training_lowers_the_loss_and_a_copy_predicts_the_same(name: str) -> None:
    model, batch = new_model(name, dropout=0.0), new_batch(24)
    model.prepare_training(bce, vector_penalty=1e-4)
    optimizer = RowSparseAdam(0.02, gradient_cap=10.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    before = float(bce(batch["label"], model.logits(batch)))
    step = tf.function(model.train_step)
    for _ in range(30):
        logs = step(batch)
    after = float(bce(batch["label"], model.logits(batch)))
    assert float(logs["events"]) == 30 * 24
    assert after < (0.6 * before if name != "prior" else before)
    copy = type(model).from_config(model.get_config())
    for target, source in zip(copy.weights, model.weights, strict=True):
        target.assign(source)
    np.testing.assert_array_equal(copy.logits(batch), model.logits(batch))
    assert keras.saving.get_registered_object(f"tfrec>{name}") is type(model)


@pytest.mark.parametrize("name", ["feseq", "bst", "din", "lstm_mlp"])
def test_order_matters_where_it_should(name: str) -> None:
    model = new_model(name)
    batch = {key: value[:1] for key, value in new_batch().items()}
    reversed_list = {**batch, "seq": batch["seq"][:, ::-1]}
    difference = abs(float(model.logits(batch)[0] - model.logits(reversed_list)[0]))
    assert (difference > 1e-3) == (name != "din")


COMBINATIONS = [
    *((pooling, "none") for pooling in ("mean", "sum", "target", "concat", "weighted_sum", "position_weighted")),
    *(("mean", interaction) for interaction in ("cross_v1", "cross_mix", "destine", "final")),
    ("weighted_sum", "autoint"),
]


@pytest.mark.parametrize(("pooling", "interaction"), COMBINATIONS)
def test_combinations_of_feseq(pooling: str, interaction: str) -> None:
    model = new_model(
        "feseq", pooling=pooling, interaction=interaction, relevance="din", item_interaction_layers=1, dropout=0.1
    )
    model.prepare_training(bce)
    with tf.GradientTape() as tape:
        loss = bce(new_batch()["label"], model.logits(new_batch(), dropout_seed=tf.constant([1, 2])))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    idle = [weight.path for weight, part in zip(model.trainable_variables, gradients, strict=True) if part is None]
    assert idle == []
    told = model.explain(new_batch())
    assert ("interaction" in told) == ("interaction_kind" in told) == (interaction != "none")
    if interaction != "none":
        weights = np.asarray(told["interaction"])
        assert weights.shape == (len(told["fields"]),) * 2
        assert weights.max() > weights.min() >= 0.0
        assert told["interaction_kind"]


def test_penalty_counts_each_looked_up_row_once() -> None:
    model, batch = new_model("dnn"), new_batch()
    tables = {name: np.asarray(table.vectors) for name, table in model.vectors.tables.items()}  # type: ignore[attr-defined]
    expected = float(np.square(np.asarray(model.vectors.directions)).sum())  # type: ignore[attr-defined]
    for name in ("inventory_id", "hour", "seq"):
        rows = set(batch[name].numpy().ravel().tolist()) - ({0} if name == "seq" else set())
        expected += sum(float(np.square(tables[name][row]).sum()) for row in rows)
    assert float(model.squares(batch)) == pytest.approx(expected, rel=1e-5)


def test_far_positions_share_vectors() -> None:
    model = new_model("feseq", num_positions=4, max_length=8)
    assert model.position_table.shape[0] == 4
    # Exact below 2; from there on 2 + floor(2 * log(d / 2) / log(8 / 2)): the last bucket begins at 4.
    batch = {**new_batch(), "seq": tf.fill([6, 8], 2), "seq/length": tf.fill([6], 8)}
    tokens, _, _ = model.tokens(batch)
    places = tokens.numpy()[:9, -4:]  # of the first row, furthest first
    np.testing.assert_array_equal(places, model.position_table.numpy()[[3, 3, 3, 3, 3, 2, 2, 1, 0]])
    rows = [ids.numpy() for table, ids in model.looked_up(batch) if table is model.position_table]
    assert set(rows[0]) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_positions": 1}, "take 0, or at least 2"),
        ({"num_positions": 7}, "every distance has a vector of its own"),
        ({"num_positions": 4, "positions": False}, "`num_positions` is for"),
    ],
    ids=str,
)
def test_positions_that_are_not_shared_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        new_model("feseq", **wrong)


def test_wrong_names_are_errors() -> None:
    with pytest.raises(ConfigError, match=r"`model.target` names `inventory`. Did you mean `inventory_id`"):
        new_model("feseq", target=["inventory"])
    with pytest.raises(ConfigError, match="does not divide the width of tokens, 12"):
        new_model("feseq", heads=5)
    with pytest.raises(ConfigError, match=r"`model\.sequence` 1"):
        new_model("din", target=["inventory_id", "hour"])


@pytest.mark.parametrize("pooling", ["mean", "weighted_sum", "position_weighted"])
def test_relevance_of_positions_is_what_the_model_computes(pooling: str) -> None:
    model, batch = new_model("feseq", pooling=pooling, heads=1), new_batch()
    told = model.explain(batch)
    counts = batch["seq/length"].numpy() + 1
    starts = np.cumsum(counts) - counts
    weights = np.asarray(told["weights"])
    np.testing.assert_allclose(np.add.reduceat(weights, starts), np.ones(6), rtol=1e-5)
    assert np.asarray(told["distance"])[:7].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert told["interaction"].shape == (2, 2)
    if pooling == "mean":  # with one head, the attended value at the target is the weighted sum of all values
        tokens, lengths, _ = model.tokens(batch)  # type: ignore[attr-defined]
        first, last = model.transformer  # type: ignore[attr-defined]
        tokens = first(tokens, lengths)
        values = last.qkv(tokens)[:, -last.dim :].numpy()
        expected = np.add.reduceat(weights[:, None] * values, starts)
        attended = blockwise_attention(last.qkv(tokens), lengths, 1).numpy()[starts + counts - 1]
        np.testing.assert_allclose(expected, attended, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shared", "places"), [(0, [0, 1, 2, 3, 4, 5, 6]), (4, [0, 1, 2, 2, 3, 3, 3])])
def test_positions_have_the_weights_that_are_learned(shared: int, places: list[int]) -> None:
    # Shared: exact below 2; from there on 2 + floor(2 * log(d / 2) / log(6 / 2)), which is 2.7 at 3 and 3.3 at 4.
    model, batch = new_model("feseq", pooling="position_weighted", num_positions=shared), new_batch()
    tokens, counts, _ = model.tokens(batch)  # type: ignore[attr-defined]
    for block in model.transformer:  # type: ignore[attr-defined]
        tokens = block(tokens, counts)
    counts, rows = counts.numpy(), np.split(tokens.numpy(), np.cumsum(counts)[:-1])
    pooled = model._pooled(batch, None)  # type: ignore[attr-defined]
    np.testing.assert_allclose(pooled, [row.mean(axis=0) for row in rows], rtol=1e-4, atol=1e-5)  # as it begins
    scores = np.array([0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 0.3, 9.0])[: shared or 8]
    model.pooling.place_scores.assign(scores)  # type: ignore[attr-defined]
    shares = [np.exp(scores[places[:count][::-1]]) for count in counts]
    weights = [share / share.sum() for share in shares]
    expected = [weight @ row for weight, row in zip(weights, rows, strict=True)]
    np.testing.assert_allclose(model._pooled(batch, None), expected, rtol=1e-4, atol=1e-5)  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.explain(batch)["weights"], np.concatenate(weights), rtol=1e-5)


def test_interaction_of_autoint_is_a_distribution() -> None:
    told = new_model("autoint").explain(new_batch())
    assert told["fields"] == ["inventory_id", "hour", "age", "seq"]
    np.testing.assert_allclose(tf.reduce_sum(told["interaction"], axis=1), np.ones(4), rtol=1e-5)
    crossed = new_model("dcn_v2").explain(new_batch())
    assert crossed["fields"] == told["fields"]
    assert crossed["interaction"].shape == (4, 4)
    assert crossed["interaction_kind"] != told["interaction_kind"]


TWO_LISTS = FieldSet(
    label="clicked",
    fields=(
        Field(name="shop", kind="category", vocabulary="shop", size=6),
        Field(name="city", kind="category", vocabulary="city", size=6),
        Field(name="now", kind="number"),
        Field(name="shops", kind="ids", vocabulary="shop", size=6, max_length=4),
        Field(name="cities", kind="ids", vocabulary="city", size=6, max_length=4),
        Field(name="times", kind="numbers", max_length=4),
    ),
)


def test_lists_of_other_lengths_are_aligned_at_the_end() -> None:
    """The first list has the tokens; a shorter one begins with zeros there, a longer one loses what is before."""
    settings = {"target": ["shop", "city"], "sequence": ["shops", "cities"], "time_target": "now", "num_times": 9}
    config = model_class("feseq").config_class(embedding_dim=4, max_length=4, time_sequence="times", **settings)
    model: Any = model_class("feseq")(config, TWO_LISTS, seed=1)
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(3).normal(size=weight.shape))
    batch = {
        "shop": [2, 3, 2],
        "city": [4, 5, 3],
        "now": [9.0, 9.0, 9.0],
        "shops": [[2, 3, 4], [5, 0, 0], [0, 0, 0]],
        "shops/length": [3, 1, 0],
        "cities": [[2, 0], [3, 4], [5, 0]],
        "cities/length": [1, 2, 1],
        "times": [[5.0, 8.0], [6.0, 0.0], [0.0, 0.0]],
        "times/length": [2, 1, 0],
    }
    tensors = {
        name: tf.constant(values, tf.float32 if name in ("now", "times") else tf.int32)
        for name, values in batch.items()
    }
    matrix, counts, row, distance = model._token_matrix(tensors)
    assert counts.numpy().tolist() == [4, 2, 1]
    shop, city = (np.asarray(model.vectors.tables[name].vectors) for name in ("shop", "city"))
    cities = [np.zeros(4), np.zeros(4), city[2], city[4], city[4], city[5], city[3]]  # of the lists, then the target
    np.testing.assert_allclose(matrix[:, :4], shop[[2, 3, 4, 2, 5, 3, 2]], rtol=1e-6)
    np.testing.assert_allclose(matrix[:, 4:8], np.stack(cities), rtol=1e-6)
    # Times 5 and 8 are of the last two entries; the first has none and counts as long ago: bucket 9 - 2.
    assert model._time_index(tensors, row, distance).numpy().tolist() == [7, 4, 1, 0, 3, 0, 0]
    assert np.isfinite(model.logits(tensors)).all()
