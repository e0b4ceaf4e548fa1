"""What the client sends is the same for lists and for numpy arrays; nothing here needs a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.serving.client import ModelMetadata, RecommenderClient, Signature, TensorDeclaration

K = 2


def signatures(ids: str) -> dict[str, Signature]:
    rows, row = TensorDeclaration(ids, (None, None)), TensorDeclaration(ids, (None,))
    history = {
        **{"history": rows, "history_length": TensorDeclaration("int32", (None,)), "user": row},
        "timestamp": TensorDeclaration("int64", (None, None)),
    }
    ranked = dict.fromkeys(("items", "scores", "count"), rows)
    return {
        "recommend": Signature("recommend", {**history, "exclude_ids": rows, "allow_ids": rows}, ranked),
        "serving_default": Signature("serving_default", history, ranked),
        "encode_user": Signature("encode_user", history, {}),
        "encode_item": Signature("encode_item", {"ids": row}, {}),
        "score": Signature("score", {**history, "ids": rows}, {}),
        "session_step": Signature("session_step", {"ids": row, "state_0": TensorDeclaration("float32", (-1, 3))}, {}),
    }


class Recorder:
    """Stands in for the caller: keeps what would be sent, answers with empty lists."""

    def __init__(self, ids: str) -> None:
        self.metadata = ModelMetadata("m", 1, signatures(ids))
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def predict(self, name: str, build: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        inputs = build(self.metadata, self.metadata.signatures[name])
        self.sent.append((name, inputs))
        size = next(len(value) for key, value in inputs.items() if key in ("history", "ids"))
        nothing = {"items": np.zeros([size, 0]), "scores": np.zeros([size, 0]), "count": np.zeros(size, int)}
        return {**nothing, "vector": np.zeros([size, 2]), "bias": np.zeros(size), "state_0": np.zeros([size, 3])}


def sent(ids: str, array: Callable[[Any], Any]) -> list[tuple[str, dict[str, Any]]]:
    """What all methods send for two histories of two events."""
    one, two = ([7, 5], [2**40, 7]) if ids == "int64" else (["a", "ü"], ["b", "a"])
    client = RecommenderClient("http://localhost:1")
    client._caller = cast(Any, recorder := Recorder(ids))
    both, times = array([one, two]), array([[1, 2], [3, 4]])
    more = {"timestamps": times, "users": array(two)}
    wishes = {"exclude": array([two, two]), "allow": array([two, one])}
    client.recommend(array(one), K, exclude=array(two), allow=array([one[0]]), timestamps=array([1, 2]))
    client.recommend(array(one), K, allow=array(one)[:0])  # an empty list: nothing is allowed
    client.recommend_many(both, K, **wishes, **more)
    client.recommend_many([array(one), array(one)[:1]], K, exclude=[array(one)[:0], array(one)])
    client.recommend_default(both, **more)
    client.encode_user(both, **more)
    client.encode_item(array(one))
    client.score(both, [array(one), array(one)[:0]], **more)
    client.score(both, array([one, two]), **more)
    client.session_step(array(one), [np.ones([2, 3])])
    return recorder.sent


@pytest.mark.parametrize("ids", ["int64", "string"])
def test_arrays_are_sent_as_lists_are(ids):
    lists, arrays = sent(ids, lambda values: values), sent(ids, np.array)
    assert [name for name, _ in arrays] == [name for name, _ in lists]
    assert len(lists) == 10
    for (name, expected), (_, received) in zip(lists, arrays, strict=True):
        assert expected.keys() == received.keys()
        for key, value in expected.items():
            assert (received[key].dtype, received[key].shape) == (value.dtype, value.shape), (name, key)
            np.testing.assert_array_equal(received[key], value)
    assert lists[1][1]["allow_ids"].shape == (1, 1)  # an id that no vocabulary has


@pytest.mark.parametrize("k", [0, 2.5, True, 2**31, "3", None])
def test_lengths_of_lists_are_whole_numbers(k):
    client = RecommenderClient("http://localhost:1")
    client._caller = cast(Any, Recorder("int64"))
    with pytest.raises(ConfigError, match="`k` must be a whole number from 1 to 2,147,483,647"):
        client.recommend([7], k)
    assert client.recommend([7], np.int64(3)) == []
