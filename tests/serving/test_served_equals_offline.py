"""Every registered model, served over gRPC and REST, answers what it answers offline; a new model joins by registering.

A tiny model of each kind is exported into the folder of the test server, which replays its warm-up file and runs it as
TensorFlow Serving does. The golden requests go through both transports as they are, and
the client's own methods are compared with `top_items` over histories of the data.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.harness.planted_shop import ID_TYPES, planted_shop, user_id
from tests.harness.tiny_run import tiny_run
from tests.serving.server.model_server import ModelServer
from tfrec import recommend
from tfrec.command import run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import EventHistory
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.registry import model_class, model_names
from tfrec.serving.client import RankedItem, RecommenderClient
from tfrec.serving.client.connect import connect
from tfrec.serving.export_run import ExportOptions, export_run
from tfrec.serving.golden_requests import sample_histories
from tfrec.serving.replay import GOLDEN_FILE, binary, compare_outputs
from tfrec.serving.warmup import WARMUP_FILE
from tfrec.training.top_items import top_items

LIST_LENGTH = 7
SETTINGS: dict[str, Any] = {"two_tower": {"user_vectors": True}}
"""Beyond the smallest: the two-tower model is told the user."""


@dataclass
class Served:
    """A model on the server, and what it says offline."""

    name: str
    run: Path
    model: Any
    dataset: InteractionDataset
    requests: list[dict[str, Any]]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], InteractionDataset]:
    folder = tmp_path_factory.mktemp("shops")
    return functools.cache(lambda id_type: planted_shop(folder / id_type, id_type))


def _cases() -> list[tuple[str, str]]:
    """Each model with one type of ids in turn; `test_every_model` has all of both."""
    names = [name for name in sorted(model_names()) if issubclass(model_class(name), SequenceRecommender)]
    return [(name, ID_TYPES[turn % len(ID_TYPES)]) for turn, name in enumerate(names)]


@pytest.mark.usefixtures("graphs_as_they_are")
@pytest.mark.parametrize(("kind", "id_type"), _cases())
def test_served_equals_offline(
    kind: str,
    id_type: str,
    shops: Callable[[str], InteractionDataset],
    server: ModelServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"{kind}-{id_type}"
    dataset = shops(id_type)
    model = tiny_run(tmp_path / "run", kind, dataset, **SETTINGS.get(kind, {}))
    options = ExportOptions(run=tmp_path / "run", assignments=[f"k={LIST_LENGTH}"], verify=False)
    version = Path(export_run(server.root / name, options, Console(quiet=True))["path"])
    assert (version / WARMUP_FILE).stat().st_size > 0
    requests = json.loads((version / GOLDEN_FILE).read_text(encoding="utf-8"))
    server.wait_for(name, 1)
    served = Served(name, tmp_path / "run", model, dataset, requests)
    for url in server.urls:
        check_golden_requests(served, url)
        check_lists_of_the_client(served, url)
    check_what_the_command_prints(served, server.grpc_url, capsys)


def check_golden_requests(served: Served, url: str) -> None:
    transport = connect(url)
    signatures = transport.metadata(served.name, None, 120).signatures
    assert {request["signature"] for request in served.requests} == set(signatures)
    differences = []
    for request in served.requests:
        signature = signatures[request["signature"]]
        assert set(request["inputs"]) == set(signature.inputs)
        inputs = {
            name: np.array(binary(value), numpy_type(declared.dtype))
            for name, declared in signature.inputs.items()
            for value in [request["inputs"][name]]
        }
        outputs = transport.predict(served.name, None, signature, inputs, 120)
        for name, value in outputs.items():
            assert value.dtype == (
                object if signature.outputs[name].dtype == "string" else signature.outputs[name].dtype
            )
        differences += [f"{request['name']}: {line}" for line in compare_outputs(request["outputs"], outputs)]
    transport.close()
    assert differences == []


def check_lists_of_the_client(served: Served, url: str) -> None:
    dataset, items = served.dataset, served.dataset.item_vocabulary
    users = dataset.vocabulary("user")
    samples = sample_histories(dataset)
    histories = [items.raw(sample.items) for sample in samples]
    unknown: Any = 123 if items.id_type == "int64" else "nobody bought this"
    rows = [[unknown if item is None else item for item in history] for history in histories]
    asked: dict[str, Any] = {
        "timestamps": [sample.timestamps for sample in samples],
        "users": users.raw([sample.user for sample in samples]),
        "request_times": [sample.timestamps[-1] + 7_200_000 for sample in samples],
    }
    popular = items.ids.tolist()

    known = [
        EventHistory(
            np.array(sample.items, np.int32), np.array(sample.timestamps, np.int64), sample.user, request_time=time
        )
        for sample, time in zip(samples, asked["request_times"], strict=True)
    ]

    def offline(k: int, **wishes: Any) -> list[list[RankedItem]]:
        ranked = [top_items(served.model, items, history, k, with_users=True, **wishes) for history in known]
        return [[RankedItem(top.item, top.score) for top in row] for row in ranked]

    with RecommenderClient(url, model=served.name, timeout=120) as client:
        assert client.metadata().id_type == items.id_type
        check(client.recommend_many(rows, 5, **asked), offline(5))
        check(client.recommend_many(rows, 99, exclude_history=False, **asked), offline(99, include_seen=True))
        check(client.recommend_default(rows, **asked), offline(LIST_LENGTH))
        excluded, allowed = popular[:4], popular[2:12]
        some = client.recommend_many(
            rows,
            6,
            exclude=[[*excluded, unknown]] * len(rows),
            allow=[[*allowed, unknown]] * len(rows),
            **asked,
        )
        check(some, offline(6, excluded=items.lookup(excluded), allowed=items.lookup(allowed)))
        assert client.recommend_many(rows, 6, allow=[[unknown]] * len(rows), **asked) == [[]] * len(rows)
        everything = offline(99, include_seen=True)
        wanted = [[top.item for top in ranked[::3]] for ranked in everything]
        for found, ranked in zip(client.score(rows, wanted, **asked), everything, strict=True):
            np.testing.assert_allclose(found, [top.score for top in ranked[::3]], atol=1e-5, rtol=1e-5)


def check_what_the_command_prints(served: Served, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    user = str(user_id(3, served.dataset.item_vocabulary.id_type))

    def printed(*where: str) -> Any:
        arguments = ["--run", str(served.run), f"--user={user}", "-k", "6", "--json", *where]
        assert run_command(recommend.main, arguments, prog="recommend") == 0
        return json.loads(capsys.readouterr().out)

    offline, online = printed(), printed("--server", url, "--model-name", served.name)
    check(*([_ranked(document.pop("recommendations"))] for document in (online, offline)))
    assert len(offline["history"]) > 2
    assert online == offline


def numpy_type(dtype: str) -> Any:
    return object if dtype == "string" else dtype


def check(found: list[list[RankedItem]], expected: list[list[RankedItem]]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine) == len(theirs)
        assert compare_outputs(_columns(theirs), _columns(mine)) == []


def _columns(ranked: list[RankedItem]) -> dict[str, Any]:
    columns: dict[str, Callable[[RankedItem], Any]] = {"items": lambda top: top.item, "scores": lambda top: top.score}
    return {name: [[column(top) for top in ranked]] for name, column in columns.items()}


def _ranked(entries: list[dict[str, Any]]) -> list[RankedItem]:
    assert len(entries) == 6
    return [RankedItem(entry["item"], entry["score"]) for entry in entries]
