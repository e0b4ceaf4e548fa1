"""FESeq against numbers made by running the published model, and its parameter counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.feseq_config import FESeqConfig
from tfrec.data.impressions.fields import Field, FieldSet
from tfrec.models.feseq import FESeq

CATEGORIES = {"gender": 4, "age_group": 10, "inventory_id": 20, "hour": 26}
EMBEDDING = "w/embedding_layer/embedding_layers/{}/weight"


def toss_fields(days: int, tokens: int, length: int) -> FieldSet:
    sizes = {**CATEGORIES, "day_of_week": days}
    fields = [Field(name=name, kind="category", vocabulary=name, size=size) for name, size in sizes.items()]
    fields.append(Field(name="seq", kind="ids", vocabulary="seq", size=tokens, max_length=length))
    fields += [Field(name=f"number_{number}", kind="number") for number in range(75)]
    return FieldSet(label="clicked", fields=tuple(fields))


@pytest.mark.parametrize(
    ("settings", "days", "tokens", "expected"),
    [
        ({"embedding_dim": 8, "heads": 2, "blocks": 1, "interaction_layers": 1, "max_length": 500}, 3, 429, 119_985),
        ({"embedding_dim": 8, "heads": 2, "blocks": 1, "interaction_layers": 1, "max_length": 100}, 3, 429, 116_785),
        ({"embedding_dim": 16, "max_length": 500}, 5, 549, 327_057),
        ({"embedding_dim": 32, "max_length": 500, "hidden": [512, 256, 128]}, 5, 549, 2_093_345),
    ],
)
def test_parameter_counts(settings: dict[str, Any], days: int, tokens: int, expected: int) -> None:
    config = FESeqConfig(**settings)
    assert FESeq(config, toss_fields(days, tokens, config.max_length)).count_params() == expected


@pytest.fixture(scope="session")
def toss(golden: Path) -> dict[str, np.ndarray]:
    return load(golden / "feseq_toss.npz")


@pytest.fixture(scope="session")
def paper(golden: Path) -> dict[str, np.ndarray]:
    return load(golden / "feseq_paper.npz")


def load(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as arrays:
        return {key: arrays[key] for key in arrays.files}


def right_padded(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    padded = np.zeros_like(values)
    for row, length in enumerate(lengths):
        padded[row, :length] = values[row, values.shape[1] - length :]
    return padded


def real_tokens(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Tokens of left-padded rows, which end with the target, one row after another."""
    width = values.shape[1]
    return np.concatenate([values[row, width - length - 1 :] for row, length in enumerate(lengths)])


def set_table(model: FESeq, name: str, values: np.ndarray) -> None:
    model.vectors.tables[name].vectors.assign(values)


def set_common(model: FESeq, golden: dict[str, np.ndarray]) -> None:
    model.position_table.assign(golden["w/pos_embedding_layer/weight"])
    for number, block in enumerate(model.transformer):
        prefix = f"w/transformer_encoders/{number}/transformer_blocks/0"
        if f"{prefix}/ffn/0/weight" not in golden:
            prefix = f"w/transformer_encoders/0/transformer_blocks/{number}"
        for layer, name in (
            (block.wide, "ffn/0"),
            (block.narrow, "ffn/2"),
            (block.output_projection, "attention/out_proj"),
        ):
            layer.kernel.assign(golden[f"{prefix}/{name}/weight"].T)
            layer.bias.assign(golden[f"{prefix}/{name}/bias"])
        block.qkv.kernel.assign(golden[f"{prefix}/attention/in_proj_weight"].T)
        block.qkv.bias.assign(golden[f"{prefix}/attention/in_proj_bias"])
        for place, norm in enumerate(block.norms, 1):
            norm.gamma.assign(golden[f"{prefix}/layer_norm{place}/weight"])
            norm.beta.assign(golden[f"{prefix}/layer_norm{place}/bias"])
    for number, layer in enumerate(model.network.dense):
        layer.kernel.assign(golden[f"w/dnn/mlp/{2 * number}/weight"].T)
        layer.bias.assign(golden[f"w/dnn/mlp/{2 * number}/bias"])


def close(found: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5, rtol=1e-5)


def toss_model(golden: dict[str, np.ndarray]) -> tuple[FESeq, dict[str, tf.Tensor]]:
    fields, batch = [], {}
    for name in golden["feature_order"].tolist():
        if name.startswith("num_"):
            fields.append(Field(name=name, kind="number"))
            batch[name] = golden["in/numeric"][:, int(name[4:]) - 1]
            continue
        rows = golden[EMBEDDING.format(name)].shape[0]
        kind: Any = "ids" if name == "seq" else "category"
        fields.append(Field(name=name, kind=kind, vocabulary=name, size=rows, max_length=6))
        batch[name] = golden[f"in/{name}"]
    lengths = (batch["seq"] > 0).sum(axis=1).astype(np.int32)
    batch["seq"], batch["seq/length"] = right_padded(batch["seq"], lengths), lengths
    e, length, heads, blocks, cross, _ = golden["hparams_e_L_heads_layers_cross_nnum"].tolist()
    config = FESeqConfig(
        embedding_dim=e,
        max_length=length,
        heads=heads,
        blocks=blocks,
        interaction_layers=cross,
        hidden=golden["hparams_dnn_units"].tolist(),
    )
    model = FESeq(config, FieldSet(label="label", fields=tuple(fields)))
    for name in model.vectors.tables:
        set_table(model, name, golden[EMBEDDING.format(name)])
    model.vectors.directions.assign(
        np.stack([golden[EMBEDDING.format(name)][:, 0] for name in model.vectors.number_names])
    )
    for number in range(cross):
        prefix = f"w/seq_feature_interaction/feat_interaction_layers/cross_layers/{number}"
        model.interaction._named[f"kernel_{number}"].assign(golden[f"{prefix}/weight"].T)
        model.interaction._named[f"bias_{number}"].assign(golden[f"{prefix}/bias"])
    set_common(model, golden)
    return model, {name: tf.constant(value) for name, value in batch.items()}


def test_toss_configuration_forward(toss: dict[str, np.ndarray]) -> None:
    model, batch = toss_model(toss)
    lengths = batch["seq/length"].numpy()
    matrix, *_ = model._token_matrix(batch)
    close(matrix, real_tokens(toss["out/seq_matrix_before_interaction"], lengths))
    close(model.interaction(matrix), real_tokens(toss["out/seq_matrix_after_interaction"], lengths))
    tokens, counts, _ = model.tokens(batch)
    close(tokens, real_tokens(toss["out/transformer_in"], lengths))
    for number, block in enumerate(model.transformer, 1):
        tokens = block(tokens, counts)
        close(tokens, real_tokens(toss[f"out/transformer_block{number}"], lengths))
    close(model._pooled(batch, None), toss["out/pooled"])
    close(model.logits(batch), toss["out/logit"][:, 0])
    close(model(batch), toss["out/prob"][:, 0])


def test_toss_configuration_loss_and_gradients(toss: dict[str, np.ndarray]) -> None:
    model, batch = toss_model(toss)
    block = model.transformer[0]
    wanted = [
        model.vectors.tables["seq"].vectors.value,
        model.interaction._named["kernel_0"].value,
        model.position_table.value,
        block.qkv.kernel.value,
    ]
    with tf.GradientTape() as tape:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(toss["in/label"], model.logits(batch))
        loss = tf.reduce_mean(losses)
    close(loss, toss["out/loss_bce"])
    table, kernel, position, qkv = (tf.convert_to_tensor(part) for part in tape.gradient(loss, wanted))
    close(table[1:], toss["grad/embedding_layer/embedding_layers/seq/weight"][1:])
    close(kernel, toss["grad/seq_feature_interaction/feat_interaction_layers/cross_layers/0/weight"].T)
    close(position, toss["grad/pos_embedding_layer/weight"])
    close(qkv, toss["grad/transformer_encoders/0/transformer_blocks/0/attention/in_proj_weight"].T)


def paper_model(golden: dict[str, np.ndarray]) -> tuple[FESeq, dict[str, tf.Tensor]]:
    kinds = {
        "user_id": ("category", "user_id"),
        "age": ("number", None),
        "shop_id": ("category", "shop_id"),
        "item_id": ("category", "item_id"),
        "rank_7": ("number", None),
        "shop_id_list": ("ids", "shop_id"),
        "item_id_list": ("ids", "item_id_list"),
        "rank_7_list": ("numbers", None),
        "times": ("number", None),
        "times_list": ("numbers", None),
    }
    lengths = (golden["in/shop_id_list"] > 0).sum(axis=1).astype(np.int32)
    fields, batch = [], {}
    for name in golden["feature_order"].tolist():
        kind, vocabulary = kinds[name]
        size = golden[EMBEDDING.format(vocabulary)].shape[0] if vocabulary else 0
        shared = "rank_7" if name == "rank_7_list" else None
        fields.append(Field(name=name, kind=kind, vocabulary=vocabulary, size=size, max_length=5, scaled_as=shared))  # type: ignore[arg-type]
        values = golden[f"in/{name}"]
        batch[name] = right_padded(values, lengths) if name.endswith("_list") else values
        if name.endswith("_list"):
            batch[f"{name}/length"] = lengths
    e, length, heads, blocks, layers, item_layers, relevance, times = golden[
        "hparams_e_L_heads_layers_fiSeq_fiItem_rel_numtime"
    ].tolist()
    config = FESeqConfig(
        embedding_dim=e,
        max_length=length,
        heads=heads,
        blocks=blocks,
        target=["shop_id", "item_id", "rank_7"],
        sequence=["shop_id_list", "item_id_list", "rank_7_list"],
        context=["user_id", "age"],
        interaction="autoint",
        interaction_layers=layers,
        item_interaction_layers=item_layers,
        layer_norm=False,
        causal=True,
        time_target="times",
        time_sequence="times_list",
        num_times=times,
        pooling="weighted_sum",
        relevance_dim=relevance,
        target_items=["shop_id", "item_id"],
        hidden=golden["hparams_dnn_units"].tolist(),
        activation="leaky_relu",
    )
    model = FESeq(config, FieldSet(label="label", fields=tuple(fields)))
    for name in model.vectors.tables:
        set_table(model, name, golden[EMBEDDING.format(name)])
    model.vectors.directions.assign(np.stack([golden[EMBEDDING.format(n)][:, 0] for n in model.vectors.number_names]))
    for name, table in model.item_vectors.tables.items():
        table.vectors.assign(golden[f"w/output_emb_layer/{name}/weight"])
    for stack, prefix in ((model.interaction, "seq"), (model.item_interaction, "item")):
        for number in range(stack.layers):
            path = f"w/{prefix}_feature_interaction/feat_interaction_layers/{number}"
            for name, short in (("query", "W_q"), ("key", "W_k"), ("value", "W_v")):
                stack._named[f"{name}_{number}"].assign(golden[f"{path}/{short}/weight"].T)
            stack._named[f"gamma_{number}"].assign(golden[f"{path}/layer_norm/weight"])
            stack._named[f"beta_{number}"].assign(golden[f"{path}/layer_norm/bias"])
    model.time_table.assign(golden["w/time_embedding_layer/weight"])
    pooling = model.pooling
    pooling.slope.assign(golden["w/pooling_layer/activation/weight"])
    pooling.score.kernel.assign(golden["w/pooling_layer/W_kernel"])
    for name, short in (("query", "W_q"), ("key", "W_k"), ("value", "W_v"), ("output", "ffn/0")):
        pooling.projections[name].kernel.assign(golden[f"w/pooling_layer/{short}/weight"].T)
    pooling.projections["output"].bias.assign(golden["w/pooling_layer/ffn/0/bias"])
    set_common(model, golden)
    return model, {name: tf.constant(value) for name, value in batch.items()}


def test_paper_configuration_forward(paper: dict[str, np.ndarray]) -> None:
    model, batch = paper_model(paper)
    lengths = batch["shop_id_list/length"].numpy()
    matrix, *_ = model._token_matrix(batch)
    close(matrix, real_tokens(paper["out/seq_matrix_before_interaction"], lengths))
    close(model.interaction(matrix), real_tokens(paper["out/seq_matrix_after_interaction"], lengths))
    tokens, counts, row = model.tokens(batch)
    close(tokens, real_tokens(paper["out/transformer_in"], lengths))
    item = model._item(batch, None)
    close(item, paper["out/item_after_interaction"])
    for block in model.transformer:
        tokens = block(tokens, counts)
    close(tokens, real_tokens(paper["out/transformer_block1"], lengths))
    weights, _ = model.pooling.weights_of(tokens, row, item, len(lengths))
    close(weights, real_tokens(paper["out/pooling_weights"], lengths))
    close(model._pooled(batch, None), paper["out/pooled"])
    close(model.logits(batch), paper["out/logit"][:, 0])


def test_paper_configuration_gradients_and_penalty(paper: dict[str, np.ndarray]) -> None:
    model, batch = paper_model(paper)
    wanted = [
        model.vectors.tables["item_id"].vectors.value,
        model.time_table.value,
        model.pooling.score.kernel.value,
    ]
    with tf.GradientTape() as tape:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(paper["in/label"], model.logits(batch))
        loss = tf.reduce_mean(losses)
    close(loss, paper["out/loss_bce"])
    item, times, kernel = (tf.convert_to_tensor(part) for part in tape.gradient(loss, wanted))
    close(item[1:], paper["grad/embedding_layer/embedding_layers/item_id/weight"][1:])
    close(times, paper["grad/time_embedding_layer/weight"])
    close(kernel, paper["grad/pooling_layer/W_kernel"])
    # The reference penalises whole tables; what it counts beyond the rows of the batch is added by hand.
    looked_up = {
        "user_id": {*paper["in/user_id"].tolist()},
        "shop_id": {*paper["in/shop_id"].tolist(), *paper["in/shop_id_list"][paper["in/shop_id_list"] > 0].tolist()},
        "item_id": {*paper["in/item_id"].tolist()},
        "item_id_list": {*paper["in/item_id_list"][paper["in/item_id_list"] > 0].tolist()},
    }
    tables = {name: paper[EMBEDDING.format(name)] for name in looked_up}
    tables["positions"], looked_up["positions"] = paper["w/pos_embedding_layer/weight"], set(range(6))
    passed = np.clip(paper["in/times"][:, None] - paper["in/times_list"], 0, 39).astype(int)
    tables["times"] = paper["w/time_embedding_layer/weight"]
    looked_up["times"] = {0, *passed[paper["in/shop_id_list"] > 0].tolist()}
    rest = sum(
        float(np.square(table[row]).sum())
        for name, table in tables.items()
        for row in set(range(len(table))) - looked_up[name]
    )
    total = float(paper["out/loss_bce"]) + 0.05 * (float(model.squares(batch)) + rest)
    assert total == pytest.approx(float(paper["out/loss_bce_plus_embedding_reg_0p1"]), rel=1e-5)
