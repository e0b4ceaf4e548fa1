"""Replay, push and publication of one small exported model, without the rest of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tests.harness.planted_shop import planted_shop  # noqa: E402
from tests.harness.tiny_run import tiny_run  # noqa: E402
from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing  # noqa: E402
from tfrec.errors import ConfigError  # noqa: E402
from tfrec.serving.check_export import check_export  # noqa: E402
from tfrec.serving.export_error import ExportError  # noqa: E402
from tfrec.serving.version_directory import VersionDirectory  # noqa: E402
from tfrec.stores.redis.redis_store import RedisVectorStore  # noqa: E402
from tfx_pipeline.components import golden_replay  # noqa: E402
from tfx_pipeline.components.golden_replay import GoldenReplay  # noqa: E402
from tfx_pipeline.components.redis_exporter import RedisExporter  # noqa: E402
from tfx_pipeline.components.version_pusher import VersionPusher  # noqa: E402
from tfx_pipeline.trainer_module import export_model  # noqa: E402


class Stub(SimpleNamespace):
    """An artifact: a directory and custom properties."""

    def __init__(self, uri: Path, **properties: Any) -> None:
        super().__init__(uri=str(uri), id=5, properties=properties)

    def get_int_custom_property(self, name: str) -> Any:
        return self.properties.get(name)

    def set_int_custom_property(self, name: str, value: int) -> None:
        self.properties[name] = value

    set_string_custom_property = set_int_custom_property

    def note(self, name: str) -> dict[str, Any]:
        return dict(json.loads((Path(self.uri) / name).read_text()))


def call(component: Any, **arguments: Any) -> None:
    """Calls the function of a function component."""
    component.test_call(**arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Trainer leaves: `model_run/run`, `model_run/dataset`, `model/Format-Serving`."""
    root = tmp_path_factory.mktemp("trained")
    shop = planted_shop(root / "shop", "int64")
    (root / "model_run").mkdir()
    Path(shop.path).rename(root / "model_run" / "dataset")
    moved = type(shop).open(root / "model_run" / "dataset")
    tiny_run(root / "model_run" / "run", "sasrec", moved)
    export_model(root / "model_run" / "run", root / "model" / "Format-Serving", ["k=5"])
    return root


def test_a_blessed_model_is_pushed_once_and_answers(trained: Path, tmp_path: Path) -> None:
    model, infra = Stub(trained / "model"), Stub(tmp_path / "infra")
    call(GoldenReplay, model=model, blessing=infra, code="")
    assert infra.properties["blessed"] == 1
    assert infra.note("replay.json")["requests"] > 15
    serving = tmp_path / "serving"
    blessed = {"model_blessing": Stub(tmp_path, blessed=1), "infra_blessing": infra}
    for attempt in range(2):
        pushed = Stub(tmp_path / f"pushed{attempt}")
        call(
            VersionPusher,
            model=model,
            **blessed,
            pushed_model=pushed,
            destination=str(serving),
            keep=0,
            again=0,
            occasion="",
        )
        assert pushed.properties["pushed"] == 1
        assert pushed.properties["pushed_version"] == "1"
        assert pushed.properties["pushed_model_id"] == 5
        assert pushed.note("push.json")["model"] == "sasrec"
        assert pushed.note("push.json")["new"] == (attempt == 0)
    assert VersionDirectory(serving).versions() == [1]
    report = check_export(serving / "1", data=str(trained / "model_run" / "dataset"), verify=False)
    assert report["model"] == "sasrec"
    export = json.loads((serving / "1" / "assets.extra" / "export.json").read_text())
    assert export["verified"]["requests"] == infra.note("replay.json")["requests"]
    assert "rank_targets" in export["signatures"]


def test_versions_are_counted_and_pruned(trained: Path, tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    (serving / "7").mkdir(parents=True)
    (serving / "7" / "saved_model.pb").touch()  # of another hand
    blessed = {"model_blessing": Stub(tmp_path, blessed=1), "infra_blessing": Stub(tmp_path, blessed=1)}
    pushed = Stub(tmp_path / "pushed")
    model = Stub(trained / "model")
    call(
        VersionPusher,
        model=model,
        **blessed,
        pushed_model=pushed,
        destination=str(serving),
        keep=1,
        again=0,
        occasion="",
    )
    assert pushed.note("push.json")["version"] == 8
    assert pushed.note("push.json")["removed"] == [7]
    assert VersionDirectory(serving).versions() == [8]
    assert (serving / "8" / "assets.extra" / "model_card.md").read_text().startswith("# sasrec, version 8\n")


def test_a_model_that_was_rolled_back_comes_back_only_when_told(tmp_path: Path) -> None:
    def export(name: str) -> Path:
        extra = tmp_path / name / "Format-Serving" / "assets.extra"
        extra.mkdir(parents=True)
        (extra / "model_card.md").write_text("# gru4rec, version 1\n")
        content = {"format_version": 1, "model": "gru4rec", "created": name, "version": 1}
        (extra / "export.json").write_text(json.dumps(content))
        return tmp_path / name

    good, bad, serving = export("good"), export("bad"), tmp_path / "serving"

    def push(model: Path, again: int = 0) -> dict[str, Any]:
        blessed = {"model_blessing": Stub(tmp_path, blessed=1), "infra_blessing": Stub(tmp_path, blessed=1)}
        pushed = Stub(tmp_path / "pushed")
        told = {"destination": str(serving), "keep": 0, "again": again, "occasion": ""}
        call(VersionPusher, model=Stub(model), **blessed, pushed_model=pushed, **told)
        assert pushed.properties["pushed"] == int(pushed.note("push.json")["pushed"])
        return pushed.note("push.json")

    assert [push(good)["version"], push(bad)["version"]] == [1, 2]
    assert VersionDirectory(serving).rollback() == (2, 1)
    refused = push(bad)
    assert not refused["pushed"]
    assert "rolled back: version 2" in refused["reason"]
    assert VersionDirectory(serving).versions() == [1]
    assert push(good)["new"] is False
    assert push(bad, again=1)["version"] == 3
    assert push(bad)["new"] is False  # it is the newest now
    assert (serving / "3" / "assets.extra" / "model_card.md").read_text() == "# gru4rec, version 3\n"


@pytest.mark.parametrize(("model", "infra"), [(0, 1), (1, 0)])
def test_what_is_not_blessed_is_neither_pushed_nor_published(
    model: int, infra: int, trained: Path, tmp_path: Path
) -> None:
    pushed, vectors = Stub(tmp_path / "pushed"), Stub(tmp_path / "vectors")
    call(
        VersionPusher,
        model=Stub(trained / "model"),
        model_blessing=Stub(tmp_path, blessed=model),
        infra_blessing=Stub(tmp_path, blessed=infra),
        pushed_model=pushed,
        destination=str(tmp_path / "serving"),
        keep=0,
        again=0,
        occasion="",
    )
    assert pushed.properties["pushed"] == 0
    assert ("Evaluator" in pushed.note("push.json")["reason"]) == (model == 0)
    assert not (tmp_path / "serving").exists()
    run = Stub(trained / "model_run")  # no server is asked: there is none at this address
    call(RedisExporter, model_run=run, pushed_model=pushed, vectors=vectors, server="redis://nowhere:1/0", occasion="")
    assert vectors.note("publication.json") == {"published": False, "reason": "The model was not pushed."}


def test_an_export_that_answers_otherwise_is_not_blessed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(folder: Path) -> dict[str, Any]:
        raise ExportError(f"2 answers of {folder.name} differ from those of the model.")

    monkeypatch.setattr(golden_replay, "verify_export", differs)
    infra = Stub(tmp_path / "infra")
    call(GoldenReplay, model=Stub(trained / "model"), blessing=infra, code="")
    assert infra.properties["blessed"] == 0
    assert "2 answers of Format-Serving differ" in infra.note("replay.json")["reason"]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    if (reason := redis_server_missing()) is not None:
        pytest.skip(reason)
    with PrivateRedis(tmp_path / "redis", "--requirepass", "s3cret") as server:
        yield server


@pytest.mark.redis
def test_vectors_of_a_pushed_model_are_published_once(
    trained: Path, tmp_path: Path, redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = redis.url.replace("redis://", "redis://:s3cret@")
    monkeypatch.setenv("TFREC_REDIS_URL", url)
    store = RedisVectorStore(url)
    given = {"model_run": Stub(trained / "model_run"), "pushed_model": Stub(tmp_path, pushed=1), "occasion": ""}
    documents = []
    for attempt in range(2):
        vectors = Stub(tmp_path / f"vectors{attempt}")
        call(RedisExporter, **given, vectors=vectors, server=store.address.shown)
        documents.append(vectors.note("publication.json"))
        assert "s3cret" not in (Path(vectors.uri) / "publication.json").read_text()
        assert "s3cret" not in str(vectors.properties)
    assert [document["new"] for document in documents] == [True, False]
    assert documents[0]["vectors"] == documents[1]["vectors"]
    reader = store.reader("items")
    assert documents[0]["vectors"]["items"]["count"] == 23
    vector = reader.get(2**31 + 7)
    assert vector is not None
    assert np.isfinite(vector).all()
    with pytest.raises(ConfigError, match="made for redis://elsewhere"):
        call(RedisExporter, **given, vectors=Stub(tmp_path / "other"), server="redis://elsewhere:1/0")
