"""What the client returns over gRPC and REST, against numpy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.tiny_model import DEFAULT_K, DIM
from tfrec.errors import ConfigError, ServingError
from tfrec.serving.client import RecommenderClient


def check(ranked, expected):
    assert [found.item for found in ranked] == [item for item, _ in expected]
    assert [type(found.item) for found in ranked] == [type(item) for item, _ in expected]
    np.testing.assert_allclose([found.score for found in ranked], [score for _, score in expected], atol=1e-5)


def unknown(served):
    return 2**40 if served.name == "int64" else "never seen"


def test_lists_and_wishes(served):
    ids, top = served.oracle.ids, served.oracle.top
    histories = [ids[:3], [ids[4]], [], [unknown(served)], [unknown(served), ids[5]]]
    for ranked, history in zip(served.client.recommend_many(histories, 4), histories, strict=True):
        check(ranked, top(history, 4))
    exclude = [[ids[5], unknown(served)], [], [ids[0]], ids[1:3], [ids[7]]]
    many = served.client.recommend_many(histories, 99, exclude=exclude, exclude_history=False)
    for ranked, history, without in zip(many, histories, exclude, strict=True):
        check(ranked, top(history, 99, without, exclude_history=False))
    allow = [None, [ids[2], ids[6]], [], [ids[0], unknown(served)], [unknown(served)]]
    many = served.client.recommend_many(histories, 6, exclude=exclude, allow=allow)
    for ranked, history, without, only in zip(many, histories, exclude, allow, strict=True):
        check(ranked, top(history, 6, without, only))
    assert many[2] == many[4] == []
    many = served.client.recommend_many(histories[:2], 6, allow=[[], []])
    assert many == [[], []]
    check(served.client.recommend(ids[:2], k=3, exclude=[ids[2]], allow=ids[2:6]), top(ids[:2], 3, [ids[2]], ids[2:6]))
    assert served.client.recommend_many([]) == []
    for ranked, history in zip(served.client.recommend_default(histories), histories, strict=True):
        check(ranked, top(history, DEFAULT_K))


def test_vectors_and_scores(served):
    oracle, ids = served.oracle, served.oracle.ids
    histories = [ids[:3], [ids[6]], [unknown(served)]]
    vectors = served.client.encode_user(histories)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [oracle.encode(history) for history in histories], atol=1e-5)
    items = served.client.encode_item([ids[3], ids[0]])
    np.testing.assert_array_equal(items.vector, oracle.vectors[[5, 2]])
    np.testing.assert_array_equal(items.bias, oracle.bias[[5, 2]])
    candidates = [[ids[0], ids[7], ids[1]], [], [ids[2]]]
    scores = served.client.score(histories, candidates)
    for found, history, wanted in zip(scores, histories, candidates, strict=True):
        expected = oracle.scores(history)[[oracle.index(raw) for raw in wanted]]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [len(row) for row in served.client.score(histories, [[], [], []])] == [0, 0, 0]


def test_session_steps(served):
    oracle, ids = served.oracle, served.oracle.ids
    state = None
    expected = np.zeros((2, DIM))
    for events in ([ids[0], ids[1]], [ids[2], ids[2]], [ids[7], unknown(served)]):
        step = served.client.session_step(events, state)
        state = step.state
        expected = expected / 2 + oracle.vectors[[oracle.index(raw) for raw in events]]
        np.testing.assert_allclose(state[0], expected, atol=1e-5)
    scores = expected @ oracle.vectors.T + oracle.bias
    for row, ranked in enumerate(step.ranked):
        best = 2 + np.argsort(-scores[row, 2:], kind="stable")[:DEFAULT_K]
        check(ranked, [(ids[index - 2], scores[row, index]) for index in best])
    with pytest.raises(ConfigError, match="1 state arrays, received 2"):
        served.client.session_step([ids[0]], [*state, *state])


def test_examples(served):
    ids = served.oracle.ids
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[2, 4]))
    example = tf.train.Example(features=tf.train.Features(feature={"item": feature})).SerializeToString()
    (ranked,) = served.client.recommend_examples([example])
    check(ranked, served.oracle.top([ids[0], ids[2]], DEFAULT_K))


def test_status_and_metadata(served):
    (status,) = served.client.status()
    assert (status.version, status.state, status.error) == (1, "AVAILABLE", "")
    metadata = served.client.metadata()
    assert (metadata.model, metadata.version, metadata.id_type) == (served.name, 1, served.name)
    recommend = metadata.signatures["recommend"]
    assert recommend.inputs["k"].dtype == "int32"
    assert recommend.inputs["k"].shape == ()
    assert recommend.inputs["exclude_ids"].shape == (None, None)
    assert recommend.inputs["exclude_history"].dtype == "bool"
    assert recommend.outputs["scores"].dtype == "float32"
    assert metadata.signatures["session_step"].inputs["state_0"].shape == (None, DIM)


def test_ids_of_the_wrong_type(served):
    wrong, what = ("7", "int64") if served.name == "int64" else (7, "strings")
    for call in (
        lambda: served.client.recommend([wrong]),
        lambda: served.client.encode_item([wrong]),
        lambda: served.client.recommend([], exclude=[wrong]),
    ):
        with pytest.raises(ConfigError, match=f"item ids of this model are {what}, received"):
            call()
    if served.name == "int64":
        for value in (True, 2**63, 1.0):
            with pytest.raises(ConfigError, match="are int64"):
                served.client.recommend([value])
        assert served.client.recommend([np.int64(5)], 1) == served.client.recommend([5], 1)


def test_arguments_that_do_not_fit(served):
    ids = served.oracle.ids
    with pytest.raises(ConfigError, match="`k` must be a whole number from 1"):
        served.client.recommend(ids, 0)
    with pytest.raises(ConfigError, match="`exclude` has 1 rows, the request has 2"):
        served.client.recommend_many([ids, ids], exclude=[[]])
    with pytest.raises(ConfigError, match="no rows"):
        served.client.encode_user([])
    with pytest.raises(ConfigError, match="no item ids"):
        served.client.encode_item([])


def test_threads_share_a_client(served):
    ids = served.oracle.ids
    histories = [[ids[row % 8], ids[row // 8]] for row in range(64)]
    with ThreadPoolExecutor(8) as pool:
        for ranked, history in zip(pool.map(served.client.recommend, histories), histories, strict=True):
            check(ranked, served.oracle.top(history, 10))


def test_what_is_not_there_is_named(url, models):
    with RecommenderClient(url, model="shoop", timeout=120) as client:
        for call in (lambda: client.recommend([1]), client.status, client.metadata):
            with pytest.raises(ServingError, match=r"model `shoop`.*shoop.*Check the name of the model") as caught:
                call()
            assert (caught.value.code, caught.value.model, caught.value.server) == ("NOT_FOUND", "shoop", url)
    with (
        RecommenderClient(url, model="int64", version=9, timeout=120) as client,
        pytest.raises(ServingError, match=r"Specific\(int64, 9\)"),
    ):
        client.recommend([1])
    with RecommenderClient(url, model="int64", version=1, timeout=120) as client:
        check(client.recommend([5], 2), models["int64"].top([5], 2))
        with pytest.raises(
            ServingError, match=r"signature `encode_usr`: Version 1 .* Did you mean `encode_user`"
        ) as caught:
            client._caller.predict("encode_usr", lambda *_: {})
        assert caught.value.signature == "encode_usr"
