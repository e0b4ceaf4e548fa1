"""The whole pipeline, run as a user runs it: interrupted and continued, blessed, pushed, published, blocked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.tfx, pytest.mark.redis, pytest.mark.slow]
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from rich.console import Console  # noqa: E402

from tests.tfx.pipeline_runs import (  # noqa: E402
    REPORT_PARTS,
    PipelineRuns,
    assert_continued,
    assert_same_weights,
    killed_in,
    many_runs,
    pushed_export,
)
from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing  # noqa: E402
from tfrec.command import run_command  # noqa: E402
from tfrec.config.clickstream_config import ClickstreamConfig  # noqa: E402
from tfrec.data.conversion import convert  # noqa: E402
from tfrec.data.conversion_options import parse_options  # noqa: E402
from tfrec.data.synthetic import write_clickstream  # noqa: E402
from tfrec.serving import export_run  # noqa: E402
from tfrec.stores.redis.redis_store import RedisVectorStore  # noqa: E402
from tfrec.training.experiment import run_experiment  # noqa: E402
from tfrec.training.model_store import load_run, run_config  # noqa: E402
from tfx_pipeline.components import golden_replay  # noqa: E402
from tfx_pipeline.run import EXIT_BLOCKED, main  # noqa: E402

CLICKS = ClickstreamConfig(num_sessions=600, num_items=80, num_categories=4, num_interests=2, num_days=4, seed=3)
SETTINGS = [
    "model.layers=[16]",
    "model.dropout_hidden=0",
    "training.epochs=3",
    "training.batch_size=16",
    "objective.num_negatives=64",
    "evaluation.cutoffs=[1,5]",
    "evaluation.baselines=[popularity]",
    "evaluation.bootstrap.samples=10",
]
GATE = ["minimum.recall@5=0.02", "max_loss.recall@5=0.01", "max_slice_loss.recall@5=0.5"]
PASSWORD = "s3cret"


@dataclass
class Runs(PipelineRuns):
    """Runs of models that rank, and what they printed for people."""

    redis: PrivateRedis
    printed: dict[str, str] = field(default_factory=dict, init=False)

    def run(self, name: str, capture: Any, *further: str) -> None:
        flags = ["--data", str(self.log), "--root", str(self.root), "--model", "gru4rec", "--redis", "env"]
        flags += ["--time-unit", "s", "--json"]
        flags += [part for text in SETTINGS for part in ("--set", text)]
        flags += [part for text in GATE for part in ("--gate", text)]
        capture.readouterr()
        self.codes[name] = run_command(main, [*flags, *further], prog="run")
        out, self.printed[name] = capture.readouterr()
        self.documents[name] = json.loads(out) if out.strip() else {}

    @property
    def store(self) -> RedisVectorStore:
        return RedisVectorStore(self.url)

    @property
    def url(self) -> str:
        return self.redis.url.replace("redis://", f"redis://:{PASSWORD}@")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, capfd_module: Any) -> Iterator[Runs]:
    """A run that is killed in the Trainer, and the same command again."""
    if (reason := redis_server_missing()) is not None:
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("pipeline")
    write_clickstream(root / "clicks.parquet", CLICKS)
    with PrivateRedis(root / "r", "--requirepass", PASSWORD) as redis, pytest.MonkeyPatch.context() as patch:
        found = Runs(root / "shop", root / "clicks.parquet", redis)
        patch.setenv("TFREC_REDIS_URL", found.url)
        with many_runs():
            with killed_in(export_run, "export_run"):
                found.run("interrupted", capfd_module)
            found.run("first", capfd_module)
            found.note_trained()
            yield found


@pytest.fixture(scope="module")
def capfd_module(request: pytest.FixtureRequest) -> Iterator[Any]:
    """`capfd` for a whole module."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    from _pytest.capture import CaptureFixture, FDCapture

    capture: Any = CaptureFixture(FDCapture, request, _ispytest=True)
    manager.set_fixture(capture)
    capture._start()
    yield capture
    capture.close()
    manager.unset_fixture()


def test_an_interrupted_run_continues_from_the_cache(runs: Runs) -> None:
    assert_continued(runs)
    assert runs.states("first")["RedisExporter"] == "done"


def test_the_model_is_that_of_the_commands_by_hand(runs: Runs, tmp_path: Path) -> None:
    """The same log through tfrec.convert and tfrec.train: the same weights; TFMA: the metrics of tfrec.evaluate."""
    convert(parse_options(input=(str(runs.log),), output=str(tmp_path / "DS"), time_unit="s"))
    config = run_config("gru4rec", assignments=[*SETTINGS, f"data.path={tmp_path / 'DS'}"])
    metrics = run_experiment(config, tmp_path / "run", Console(quiet=True))
    assert_same_weights(load_run(tmp_path / "run").model, load_run(runs.trained).model)
    overall = runs.documents["first"]["metrics"]["all"]["candidate"]
    assert overall["targets"] == metrics["test"]["num_targets"]
    for metric in ("recall@1", "recall@5", "ndcg@5", "mrr@5"):
        assert overall[metric] == pytest.approx(metrics["test"][metric], abs=1e-6)


def test_the_pushed_version_is_whole_and_verified(runs: Runs) -> None:
    folder = pushed_export(runs, "gru4rec")
    export = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert export["verified"]["requests"] > 15


def test_vectors_are_in_redis_and_the_password_is_nowhere_else(runs: Runs) -> None:
    header = runs.store.read_header("items")
    assert header.count == runs.documents["first"]["published"]["vectors"]["items"]["count"]
    assert runs.store.reader("users").header.dim == 16
    for path in [*runs.root.glob("**/*.json"), *runs.root.glob("logs/*"), runs.root / "metadata.sqlite"]:
        assert PASSWORD.encode() not in path.read_bytes()
    assert PASSWORD not in str(runs.printed) + str(runs.documents)


def test_the_report_has_every_part(runs: Runs) -> None:
    html = runs.report
    for part in REPORT_PARTS:
        assert f'id="{part}"' in html
    assert "Blessed and pushed as version 1" in html
    assert "item_popularity:tail" in html
    assert "Trainer.model" in html


def test_the_same_run_again_pushes_and_publishes_nothing_twice(runs: Runs, capfd_module: Any) -> None:
    live = runs.store.live_versions()
    runs.run("again", capfd_module)
    assert runs.codes["again"] == 0
    assert runs.states("again")["Trainer"] == "cached"
    assert runs.documents["again"]["pushed"]["new"] is False
    assert runs.documents["again"]["published"]["new"] is False
    assert runs.store.live_versions() == live


def test_a_worse_model_is_blocked_and_says_why(runs: Runs, capfd_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its export answers well, which `first` and the tests of the replay show at length."""
    monkeypatch.setattr(golden_replay, "verify_export", lambda folder: {"requests": 1, "seconds": 0.0, "ops": []})
    live = runs.store.live_versions()
    runs.run("worse", capfd_module, "--set", "optimizer.learning_rate=0.000001")
    assert runs.codes["worse"] == EXIT_BLOCKED
    document = runs.documents["worse"]
    assert document["blocked"] is True
    assert any(re.match(r"recall@5 of all targets is .* below the baseline's", one) for one in document["reasons"])
    assert "BLOCKED" in runs.printed["worse"]
    assert "below the baseline's" in runs.printed["worse"]
    assert document["pushed"]["pushed"] is False
    assert document["published"]["published"] is False
    assert runs.versions == ["1"]
    assert runs.store.live_versions() == live
    assert "was not pushed" in runs.report


def test_a_part_of_the_nodes(runs: Runs, capfd_module: Any) -> None:
    runs.run("part", capfd_module, "--from", "Pusher", "--to", "Pusher")
    states = runs.states("part")
    assert states.pop("Pusher") == "done"
    assert set(states.values()) == {"left out"}
    runs.run("typo", capfd_module, "--from", "Pushr")
    assert runs.codes["typo"] == 2
    assert "Did you mean `Pusher`?" in runs.printed["typo"]
