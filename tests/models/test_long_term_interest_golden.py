"""The long-term interest model against outputs, gradients and usage counts of the published code, with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.long_term_interest_config import LongTermInterestConfig
from tfrec.losses.user_pairs import pair_bpr
from tfrec.models.long_term_interest import LongTermInterest

FIELDS = {
    "item": "items",
    "item_category": "categories",
    "weekday": "weekdays",
    "hour": "hours",
    "behavior_type": "behaviors",
    "is_weekend": "is_weekends",
    "days": "days_norm",
    "days_to_end": "days_to_end",
}
TABLES = {"item": "item", "item_category": "category", "behavior_type": "behavior"}
Stored = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def stored(golden: Path) -> Stored:
    return dict(np.load(golden / "long_term.npz"))


@pytest.fixture(scope="module")
def model(stored: Stored) -> LongTermInterest:
    config = LongTermInterestConfig(
        item_dim=5,
        item_feature_dim=4,
        weekday_dim=3,
        hour_dim=3,
        event_feature_dim=3,
        dim=6,
        depth=2,
        heads=2,
        head_dim=4,
        dropout=0.0,
        experts=4,
        active_experts=2,
        expert_hidden=12,
        balance="usage",
        use_mask=False,
    )
    made = LongTermInterest(config, 30, item_features={"item_category": 9}, event_features={"behavior_type": [1, 4, 3]})
    for name, (variable, value) in stored_weights(made, stored).items():
        assert variable.shape == value.shape, name
        variable.assign(value)
    for mixture in made.mixtures.values():
        mixture.balance.shares.assign(stored["expert_percentages"])
    return made


def stored_weights(model: LongTermInterest, stored: Stored) -> dict[str, tuple[Any, np.ndarray]]:
    """Every trainable weight with the stored array of the same place."""
    pairs: dict[str, tuple[Any, np.ndarray]] = {}

    def add(name: str, variable: Any, value: np.ndarray) -> None:
        pairs[name] = (variable, value)

    for name, field in TABLES.items():
        add(name, model.events.tables[name].vectors, stored[f"w/embed/{field}_embedding/weight"])
    for name in ("weekday", "hour"):
        add(name, model.events.time_tables[name], stored[f"w/embed/{name}_embedding/weight"])

    def norm(name: str, layer: Any, place: str) -> None:
        add(f"{name} scale", layer.gamma, stored[f"{place}/weight"])
        add(f"{name} offset", layer.beta, stored[f"{place}/bias"])

    def dense(name: str, layer: Any, place: str) -> None:
        add(f"{name} kernel", layer.kernel, stored[f"{place}/weight"].T)
        if layer.use_bias:
            add(f"{name} bias", layer.bias, stored[f"{place}/bias"])

    for tower in (model.long_tower, model.short_tower):
        side = f"w/{tower.name}"
        add(f"{tower.name} token", tower.class_token, stored[f"{side}/cls_token"].reshape(-1))
        norm(f"{tower.name} states", tower.state_norm, f"{side}/transformer/norm")
        dense(f"{tower.name} projection", tower.projection, f"{side}/proj")
        norm(f"{tower.name} vectors", tower.vector_norm, f"{side}/norm")
        for number, block in enumerate(tower.blocks):
            layer = f"{side}/transformer/layers/{number}"
            label = f"{tower.name} {number}"
            norm(f"{label} attention", block.attention.norm, f"{layer}/0/norm")
            dense(f"{label} joined", block.attention.joined, f"{layer}/0/to_qkv")
            dense(f"{label} outward", block.attention.outward, f"{layer}/0/to_out")
            mixture = block.experts
            add(f"{label} gate", mixture.gate_kernel, stored[f"{layer}/1/gate/gate_weights/weight"].T)
            add(f"{label} gate bias", mixture.gate_bias, stored[f"{layer}/1/gate/gate_weights/bias"])
            routed = [expert_arrays(stored, f"{layer}/1/experts/{expert}") for expert in range(mixture.experts)]
            shared = expert_arrays(stored, f"{layer}/1/shared_experts")
            for name, value in shared.items():
                add(f"{label} shared {name}", getattr(mixture.shared, name), value)
                add(f"{label} {name}", getattr(mixture, name), np.stack([one[name] for one in routed]))
    return pairs


def expert_arrays(stored: Stored, place: str) -> dict[str, np.ndarray]:
    """The weights of an expert under our names; the kernel inwards joins w1 and w3."""
    return {
        "norm_scale": stored[f"{place}/norm/weight"],
        "norm_offset": stored[f"{place}/norm/bias"],
        "in_kernel": np.concatenate([stored[f"{place}/w1/weight"].T, stored[f"{place}/w3/weight"].T], axis=1),
        "in_bias": np.concatenate([stored[f"{place}/w1/bias"], stored[f"{place}/w3/bias"]]),
        "out_kernel": stored[f"{place}/w2/weight"].T,
        "out_bias": stored[f"{place}/w2/bias"],
    }


def encode(model: LongTermInterest, stored: Stored, which: str, *, training: bool) -> tf.Tensor:
    fields = {name: tf.constant(stored[f"in/{which}/{column}"]) for name, column in FIELDS.items()}
    vectors = model.events(fields)
    side = "long" if which == "long" else "short"
    found, _ = model.encode_vectors(side, vectors, fields["item"] >= 0, training=training)
    return found


def bpr(model: LongTermInterest, stored: Stored, *, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    names = {"anchor": "long", "positive": "pos", "negative": "neg"}
    found = {name: encode(model, stored, which, training=training) for name, which in names.items()}
    own, other = (tf.reduce_sum(found["anchor"] * found[name], axis=-1) for name in ("positive", "negative"))
    return found, tf.reduce_mean(pair_bpr(own, other))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_vectors_loss_and_gradients(model: LongTermInterest, stored: Stored, mode: str) -> None:
    with tf.GradientTape() as tape:
        found, loss = bpr(model, stored, training=mode == "train")
    for name, vectors in found.items():
        np.testing.assert_allclose(vectors, stored[f"{mode}/{name}"], atol=1e-5)
    np.testing.assert_allclose(loss, stored[f"{mode}/loss_bpr"], rtol=1e-5)
    first = model.long_tower.blocks[0]
    places = {
        "embed/item_embedding": model.events.tables["item"].vectors,
        "long/layer1_gate_weight": first.experts.gate_kernel,
        "long/layer1_to_qkv": first.attention.joined.kernel,
        "long/cls_token": model.long_tower.class_token,
        "short/proj": model.short_tower.projection.kernel,
    }
    gradients = tape.gradient(loss, [variable.value for variable in places.values()])
    for name, gradient in zip(places, gradients, strict=True):
        expected = stored[f"{mode}/grad/{name}"]
        expected = expected.reshape(-1) if name.endswith("token") else expected
        expected = expected if "embed" in name or expected.ndim == 1 else expected.T
        tolerance = 2e-5 * np.abs(expected).max()
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, atol=tolerance, err_msg=name)


def test_states_and_selections_layer_by_layer(model: LongTermInterest, stored: Stored) -> None:
    """What enters each block, what leaves the attention and the experts, and the experts themselves."""
    fields = {name: tf.constant(stored[f"in/long/{column}"]) for name, column in FIELDS.items()}
    for mode in ("eval", "train"):
        training = mode == "train"
        vectors = model.events(fields)
        token = tf.broadcast_to(model.long_tower.class_token.value, [3, 1, vectors.shape[-1]])
        states = tf.concat([token, vectors], axis=1)
        for number, block in enumerate(model.long_tower.blocks):
            place = f"{mode}/long/layer{number + 1}"
            np.testing.assert_allclose(states, stored[f"{place}_in"], atol=1e-5)
            states += block.attention(states)
            np.testing.assert_allclose(states, stored[f"{place}_after_attn"], atol=1e-5)
            mixed, routing = block.experts.mix(tf.reshape(states, [-1, states.shape[-1]]), training=training)
            mixed = tf.reshape(mixed, states.shape)
            np.testing.assert_allclose(mixed, stored[f"{place}_moe_out"], atol=1e-5)
            assert np.array_equal(np.sort(routing.expert, axis=1), np.sort(stored[f"{place}_gate_idx"], axis=1))
            np.testing.assert_allclose(routing.weight, stored[f"{place}_gate_w"], atol=1e-5)
            states += mixed


def test_usage_of_a_training_step(model: LongTermInterest, stored: Stored) -> None:
    """Selections over all tokens, class tokens and padding too, and both passes of the short tower."""
    for mixture in model.mixtures.values():
        mixture.balance.finish_epoch()
        mixture.balance.shares.assign(stored["expert_percentages"])
    bpr(model, stored, training=True)
    for name, mixture in model.mixtures.items():
        tower, number = name.split()
        place = f"train/{tower}/layer{number}"
        assert np.array_equal(mixture.balance.counts, stored[f"{place}_counts"])
        assert np.asarray(mixture.balance.counts).sum() == stored[f"{place}_total"]
        mixture.balance.finish_epoch()
        np.testing.assert_allclose(mixture.balance.shares, stored[f"{place}_new_percentages"], rtol=1e-6)
        assert not np.asarray(mixture.balance.counts).any()
        mixture.balance.shares.assign(stored["expert_percentages"])


def test_sizes_of_the_published_model() -> None:
    """Parameters of the towers as the specification counts them: 50,753,522 beside the tables."""
    model = LongTermInterest(
        LongTermInterestConfig(), 12, item_features={"item_category": 5}, event_features={"behavior_type": [1, 4, 3]}
    )

    def size(part: Any) -> int:
        return sum(int(np.prod(weight.shape)) for weight in part.trainable_weights)

    block = model.long_tower.blocks[0]
    assert model.events.width == 211
    assert size(block.experts.shared) == 536_573
    assert size(block.attention) == 432_761
    assert size(block) == 6_337_184
    assert size(model.long_tower) == size(model.short_tower) == 25_376_761
    assert size(block.experts) == 11 * 536_573 + 2_120
