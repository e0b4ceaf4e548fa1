"""The retriever against an oracle that goes candidate by candidate, and what may not change its scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles import preference_retriever as oracle
from tfrec.config.ur4rec_config import RetrieverConfig
from tfrec.config.ur4rec_terms import EXPERTS
from tfrec.layers.preference_retriever import PreferenceRetriever
from tfrec.layers.text_table import TextTable
from tfrec.layers.user_memory import UserMemory

VOCAB, USERS, WIDTH, DIM = 11, 5, 6, 8


def new_retriever(**settings: Any) -> PreferenceRetriever:
    """A retriever with random weights, biases and tables; item 9 has no text, item 10 no training event."""
    config = RetrieverConfig(dim=DIM, heads=2, window=3, proxies=2, proxy_heads=4, temperature=0.2, **settings)
    texts = {"item_text_width": WIDTH, "user_text_width": WIDTH, "num_users": USERS}
    retriever = PreferenceRetriever(config, VOCAB, **texts, seed=4)
    retriever.build()
    random = np.random.default_rng(6)
    for weight in retriever.trainable_weights:
        weight.assign(random.normal(0.0, 0.5, weight.shape).astype(np.float32))
    items = random.normal(size=(VOCAB, WIDTH))
    items[[0, 1, 9]] = 0.0
    users = random.normal(size=(USERS, WIDTH))
    users[:3] = 0.0  # no text: padding, unknown, and user 2
    assert retriever.item_texts is not None
    assert retriever.user_texts is not None
    retriever.item_texts.set_vectors(items)
    retriever.user_texts.set_vectors(users)
    retriever.set_items(np.array([0, 0, *[1] * 8, 0]))
    return retriever


def values(layer: Any) -> list[Any]:
    return [weight.numpy().astype(np.float64) for weight in layer.weights]


def parts_of(layer: Any) -> dict[str, Any]:
    """Weights of an expert or of the aggregation by the names of the oracle."""
    names = {"query": layer.query, "key": layer.key, "value": layer.value, "output": layer.output_projection}
    found: dict[str, Any] = {name: values(part) for name, part in names.items()}
    found["norm"] = values(layer.norm)
    if hasattr(layer, "token"):
        found |= {"token": layer.token.numpy().astype(np.float64)}
        found |= {"inner": values(layer.inner), "outer": values(layer.outer)}
    else:
        found["proxies"] = layer.proxies.numpy().astype(np.float64)
    return found


def text_of(table: Any, row: int) -> Any:
    stored = table.vectors.numpy()[row].astype(np.float64)
    if not stored.any():
        return np.zeros(DIM)
    return oracle.unit(
        oracle.layer_norm(oracle.dense(oracle.unit(stored), values(table.projection)), *values(table.norm))
    )


def expected(retriever: Any, user: int, history: list[int], memory: Any, gate: Any) -> tuple[Any, Any]:
    """Scores and weights of experts of all items for one user."""
    texts = {item: text_of(retriever.item_texts, item) for item in range(VOCAB)}
    table = retriever.embeddings.vectors.numpy().astype(np.float64)
    embeddings = {item: oracle.unit(table[item]) * (2 <= item <= 9) for item in range(VOCAB)}
    everything = [texts[item] for item in history]
    preferences = [text_of(retriever.user_texts, user), oracle.unit(np.sum(everything, axis=0))]
    contexts = [preferences, everything[-3:], [embeddings[item] for item in history[-3:]]]
    contexts = [np.array([token for token in tokens if token.any()]).reshape(-1, DIM) for tokens in contexts]
    means = np.concatenate([tokens.mean(axis=0) if len(tokens) else np.zeros(DIM) for tokens in contexts])
    route = retriever.router
    names = {"inner": (route.inner, route.inner_bias), "outer": (route.outer, route.outer_bias)}
    router: dict[str, Any] = {name: [w.numpy().astype(np.float64) for w in pair] for name, pair in names.items()}
    router |= {"gamma": route.gamma.numpy().astype(np.float64), "beta": route.beta.numpy().astype(np.float64)}
    scores, weights = [], []
    for item in range(VOCAB):
        target = (texts[item] + embeddings[item]) / 2
        weight = oracle.router(np.concatenate([target, means]), router)
        own = [oracle.expert(target, c, parts_of(e), 2) for e, c in zip(retriever.experts, contexts, strict=True)]
        refined = oracle.aggregate(weight @ np.array(own), parts_of(retriever.aggregation), 4)
        refined = oracle.remember(refined, memory, gate)
        scores.append(oracle.unit(refined) @ oracle.unit(target) / 0.2)
        weights.append(weight)
    return np.array(scores), np.array(weights)


@pytest.fixture(scope="module")
def retriever() -> PreferenceRetriever:
    return new_retriever()


def test_scores_and_router_are_those_of_the_equations(retriever: PreferenceRetriever) -> None:
    assert retriever.expert_names == list(EXPERTS)  # what is said of them, where they are shown
    memory = UserMemory(USERS, DIM, seed=1)
    memory.build()
    random = np.random.default_rng(2)
    table = random.normal(size=(USERS, DIM)).astype(np.float32)
    table[[0, 1, 4]] = 0.0  # user 4 has none
    memory.vectors.assign(table)
    users, histories = [3, 2, 1, 4], [[2, 3, 4, 5, 9], [10, 6], [1, 1], [7, 7, 8]]
    padded = np.array([[0] * (5 - len(history)) + history for history in histories], np.int32)
    side = retriever.user_side(tf.constant(users), tf.constant(padded))
    candidates = retriever.candidates(tf.range(VOCAB))
    memories = memory.read(tf.constant(users))
    scores, weights = retriever(side, candidates.vectors, memory=memory, memories=memories)
    assert side.known.numpy().tolist() == [True, True, False, True]
    gate = values(memory.gate)
    for row, user in enumerate(users):
        wanted = expected(retriever, user, histories[row], table[user].astype(np.float64), gate)
        np.testing.assert_allclose(scores[row], wanted[0], atol=2e-4, err_msg=f"user {user}")
        np.testing.assert_allclose(weights[row], wanted[1], atol=1e-5)
    assert np.abs(scores).max() <= 1 / 0.2 + 1e-5


def test_items_without_text_or_training_events(retriever: PreferenceRetriever) -> None:
    found = retriever.candidates(tf.constant([9, 10, 1, 5]))
    assert found.text is not None
    assert found.embedding is not None
    np.testing.assert_array_equal(found.text[0], 0.0)
    np.testing.assert_array_equal(found.embedding[1], 0.0)
    np.testing.assert_array_equal(found.vectors[2], 0.0)
    np.testing.assert_allclose(found.vectors[3], (found.text[3] + found.embedding[3]) / 2, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.text[3]), 1.0, atol=1e-6)


def test_scores_do_not_depend_on_the_other_users_and_candidates(retriever: PreferenceRetriever) -> None:
    history = tf.constant([[0, 2, 3], [4, 5, 6]])
    side = retriever.user_side(tf.constant([3, 4]), history)
    whole, _ = retriever(side, retriever.candidates(tf.range(VOCAB)).vectors)
    alone = retriever.user_side(tf.constant([4]), tf.constant([[0, 0, 4, 5, 6]]))
    some, _ = retriever(alone, retriever.candidates(tf.constant([7, 3])).vectors)
    np.testing.assert_allclose(some[0], tf.gather(whole[1], [7, 3]), atol=1e-5)


def test_drop_out_of_modalities_depends_on_the_seed_alone() -> None:
    retriever = new_retriever(id_dropout=0.5, user_text_dropout=0.5, dropout=0.0)
    ids, seed = tf.range(2, 9), tf.constant([5, 1])
    first, again = retriever.candidates(ids, dropout_seed=seed), retriever.candidates(ids, dropout_seed=seed)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    whole = retriever.candidates(ids)
    assert whole.text is not None
    left_out = np.isclose(first.vectors, whole.text / 2, atol=1e-6).all(axis=1)
    kept = np.isclose(first.vectors, whole.vectors, atol=1e-6).all(axis=1)
    assert (left_out ^ kept).all()
    assert left_out.any()
    assert kept.any()


def test_without_texts_one_expert_is_left() -> None:
    config = RetrieverConfig(dim=DIM, heads=2, proxy_heads=2)
    retriever = PreferenceRetriever(config, VOCAB)
    retriever.build()
    retriever.set_items(np.ones(VOCAB))
    assert retriever.expert_names == ["embeddings"]
    side = retriever.user_side(None, tf.constant([[2, 3]]))
    scores, weights = retriever(side, retriever.candidates(tf.range(VOCAB)).vectors)
    assert scores.shape == (1, VOCAB)
    np.testing.assert_allclose(weights, 1.0, rtol=1e-6)  # x / x is not 1 in every vectorised softmax
    with pytest.raises(ValueError, match="nothing is known of an item"):
        RetrieverConfig(embeddings=False)


def test_vectors_of_any_length_fit_into_16_bits() -> None:
    scale = np.array([1.0, 2.0**20, 2.0**-30])[:, np.newaxis]  # 16 bits end at 65504 and at 6e-8
    table = TextTable(4, WIDTH, DIM, seed=2)
    table.build()
    text = np.random.default_rng(8).normal(size=WIDTH)
    table.set_vectors(np.concatenate([np.zeros([1, WIDTH]), scale * text]))
    found, present = table(tf.range(4))
    assert present.numpy().tolist() == [False, True, True, True]
    np.testing.assert_allclose(found[2:], [found[1]] * 2, atol=1e-6)
    np.testing.assert_array_equal(found[0], 0.0)
