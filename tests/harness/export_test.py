"""What every model must pass once it is registered: its export answers as the model itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.planted_shop import item_id, user_id
from tests.harness.tiny_recommender import tiny_recommender
from tests.sequence_batches import make_batch
from tfrec.config.export_config import ExportConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import Vocabulary
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.serving.golden_requests import GoldenRequests, sample_histories
from tfrec.serving.offline_answers import OfflineAnswers
from tfrec.serving.replay import foreign_ops, graph_ops, replay
from tfrec.serving.served_model import ServedModel

K = 7
LOWEST = float(np.finfo(np.float32).min)
Found = dict[str, Any]


def run_export_test(
    name: str, dataset: InteractionDataset, id_type: str, folder: Path | None = None, **settings: Any
) -> None:
    """Exports a tiny model and compares all its signatures with ranking by hand.

    Args:
        name: Registered name.
        dataset: The planted shop.
        id_type: Its type of item ids.
        folder: Save the export here, load it again and replay the golden requests; None asks the graphs as they are.
        **settings: Settings of the architecture.
    """
    model = tiny_recommender(name, dataset, **settings)
    items = dataset.item_vocabulary
    users = dataset.vocabulary("user") if "user" in model.request_features else None
    served = ServedModel(model, items, users=users, config=ExportConfig(k=K))
    signatures = served.signatures()
    if folder is not None:
        tf.saved_model.save(served, str(folder), signatures=signatures)
        assert foreign_ops(graph_ops(folder)) == []
        signatures = tf.saved_model.load(str(folder)).signatures
        answers = OfflineAnswers(model, items, users=users, k=K)
        golden = GoldenRequests(answers, list(signatures), sample_histories(dataset)).compose()
        assert 18 <= len(golden) <= 30
        assert replay(signatures, json.loads(json.dumps(golden))) == []
    client = Client(signatures, model, items, id_type, users)
    check_lists(client)
    check_scores(client)
    if "session_step" in signatures:
        check_session(client)


class Client:
    """Asks signatures in raw ids, and ranks by hand.

    Args:
        signatures: Signatures by name.
        model: The model, offline.
        items: Its item vocabulary.
        id_type: Type of item ids.
        users: Its user vocabulary, if it is told the user.
    """

    def __init__(
        self, signatures: Any, model: SequenceRecommender, items: Vocabulary, id_type: str, users: Vocabulary | None
    ) -> None:
        self.signatures = signatures
        self.model = model
        self.raw: list[Any] = items.ids.tolist()
        self.index = {raw: place + 2 for place, raw in enumerate(self.raw)}
        self.share = items.counts / items.counts.sum()
        self.missing = 0 if id_type == "int64" else ""
        self.stranger = item_id(999, id_type)
        self.user, self.users = user_id(3, id_type), users

    def ask(self, signature: str, **inputs: Any) -> Found:
        function = self.signatures[signature]
        specs = function.structured_input_signature[1]
        if "user" in specs:
            inputs["user"] = [self.user] * len(inputs["history"])
        if "timestamp" in specs:
            inputs["timestamp"] = [[0] * len(row) for row in inputs["history"]]
        if "request_time" in specs:
            inputs["request_time"] = [0] * len(inputs["history"])
        assert specs.keys() == inputs.keys()
        outputs = function(**{name: self._tensor(inputs[name], spec) for name, spec in specs.items()})
        return {name: _text(value.numpy().tolist()) for name, value in outputs.items()}

    def recommend(self, history: list[Any], k: int = 5, **wishes: Any) -> Found:
        """One row of `recommend`; the history is padded with an item that must not count."""
        defaults = {"exclude_ids": [[]], "allow_ids": [[]], "exclude_history": True}
        padded = {"history": [[*history, self.raw[0]]], "history_length": [len(history)]}
        found = self.ask("recommend", **{**defaults, **padded, "k": k, **wishes})
        return {name: value[0] for name, value in found.items()}

    def scores(self, history: list[Any]) -> dict[Any, float]:
        """Score of every item: of the model on a batch made by hand, or the share of training events."""
        indices = [self.index.get(raw, 1) for raw in history][-self.model.history_window :]
        if not any(index > 1 for index in indices):
            return dict(zip(self.raw, self.share[2:].tolist(), strict=True))
        batch = make_batch([[*indices, 0]], [1])
        if self.users is not None:
            batch["user"] = tf.constant(self.users.lookup([self.user]))
        return dict(zip(self.raw, self.model.score_targets(batch)[0].numpy()[2:].tolist(), strict=True))

    def best(self, history: list[Any], left_out: list[Any], among: list[Any] | None = None) -> list[Any]:
        """All items that compete, best first, equal ones in the order of the vocabulary."""
        scores = self.scores(history)
        competing = [raw for raw in self.raw if raw not in left_out and (among is None or raw in among)]
        return sorted(competing, key=lambda raw: -scores[raw])  # a stable sort

    def _tensor(self, value: Any, spec: tf.TensorSpec) -> tf.Tensor:
        return tf.constant(value, spec.dtype, shape=np.shape(value))


def check_lists(client: Client) -> None:
    """`recommend` and `serving_default` on histories of all kinds."""
    raw, stranger = client.raw, client.stranger
    histories = [raw[4:7], [raw[0]], [stranger, raw[3]], [], [stranger, stranger], raw[2:14]]
    for history in histories:
        found = client.recommend(history)
        expected = client.best(history, history)[:5]
        assert found["items"] == expected
        scores = client.scores(history)
        np.testing.assert_allclose(found["scores"], [scores[item] for item in expected], rtol=1e-5, atol=1e-5)
        assert found["count"] == 5
    history = raw[4:7]
    everything = client.best(history, [])
    assert client.recommend(history, 100, exclude_history=False)["items"] == everything
    gone = [everything[0], everything[2], everything[0], stranger]
    assert client.recommend(history, exclude_ids=[gone])["items"] == client.best(history, [*gone, *history])[:5]
    allowed = [raw[9], stranger, raw[1], raw[4], raw[1]]
    found = client.recommend(history, allow_ids=[allowed])
    assert found["items"] == [*client.best(history, history, allowed), *[client.missing] * 3]
    assert (found["scores"][2:], found["count"]) == ([LOWEST] * 3, 2)
    found = client.recommend(history, allow_ids=[[stranger, stranger]])
    assert (found["items"], found["count"]) == ([client.missing] * 5, 0)
    found = client.recommend([], allow_ids=[allowed], exclude_ids=[[raw[1]]])
    assert found["items"][:2] == client.best([], [raw[1]], allowed)
    assert found["count"] == 2
    width = max(map(len, histories))
    rows = [[*history, *[stranger] * (width - len(history))] for history in histories]
    together = client.ask("serving_default", history=rows, history_length=[len(history) for history in histories])
    assert together["items"] == [client.best(history, history)[:K] for history in histories]
    assert together["count"] == [K] * len(histories)


def check_scores(client: Client) -> None:
    """`score`, `encode_user`, `encode_item` and `examples`."""
    raw = client.raw
    history = [raw[5], raw[1], raw[1], raw[8]]
    scores = client.scores(history)
    ids = [raw[8], client.stranger, raw[-1]]
    found = client.ask("score", history=[history, history], history_length=[4, 0], ids=[ids, ids])["scores"]
    np.testing.assert_allclose(found[0], [scores[raw[8]], LOWEST, scores[raw[-1]]], rtol=1e-5, atol=1e-5)
    popular = client.scores([])
    np.testing.assert_allclose(found[1], [popular[raw[8]], LOWEST, popular[raw[-1]]], rtol=1e-6)
    if "encode_user" in client.signatures:
        states = client.ask("encode_user", history=[history, history], history_length=[4, 0])["vector"]
        items = client.ask("encode_item", ids=[*raw, client.stranger])
        own = np.array(items["vector"]) @ np.array(states[0]) + np.array(items["bias"])
        np.testing.assert_allclose(own[:-1], list(scores.values()), rtol=1e-4, atol=1e-4)
        assert not any([*states[1], *items["vector"][-1], items["bias"][-1]])
    else:
        assert "encode_item" not in client.signatures
    if client.users is None:
        example = _example(item=[client.index[item] for item in [*history, raw[2]]], num_targets=[1])
        found = client.ask("examples", examples=[example, _example(item=[], num_targets=[0])])
        assert found["items"] == [client.best(history, history)[:K], client.best([], [])[:K]]


def check_session(client: Client) -> None:
    """Steps through a session lead to the list after the whole session."""
    history = [client.raw[3], client.stranger, client.raw[6]]
    state = {f"state_{layer}": np.zeros([1, units]) for layer, units in enumerate(client.model.state_units)}
    for item in history:
        found = client.ask("session_step", ids=[item], **state)
        state = {name: np.array(found[name]) for name in state}
    assert found["items"][0] == client.best(history, [])[:K]
    assert found["count"] == [K]
    lost = {name: np.full_like(value, np.nan) for name, value in state.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match="`state_0` of a session is not finite"):
        client.ask("session_step", ids=[client.raw[3]], **lost)


def _example(**columns: list[int]) -> bytes:
    features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=held)) for name, held in columns.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value
