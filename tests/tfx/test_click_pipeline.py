"""The whole pipeline for a click model, run as a user runs it: interrupted and continued, pushed, blocked."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

pytestmark = [pytest.mark.tfx, pytest.mark.slow]
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
from tfrec.command import run_command  # noqa: E402
from tfrec.config.impression_world_config import ImpressionWorldConfig  # noqa: E402
from tfrec.data.impressions.impression_conversion import convert_impressions  # noqa: E402
from tfrec.data.impressions.impression_options import impression_options  # noqa: E402
from tfrec.data.impressions.impression_world import ImpressionWorld  # noqa: E402
from tfrec.training import experiment  # noqa: E402
from tfrec.training.model_store import load_run, run_config  # noqa: E402
from tfx_pipeline.run import EXIT_BLOCKED, main  # noqa: E402

ROLES = {
    "categorical": ["gender", "inventory_id", "hour", "day_of_week"],
    "numeric": ["l_feat_1", {"name": "feat_d_1", "scaling": "quantile"}],
    "sequence": [{"name": "seq", "max_length": 8}],
    "min_count": 2,
}
SETTINGS = [
    "model.embedding_dim=4",
    "model.max_length=8",
    "model.heads=2",
    "model.blocks=1",
    "model.interaction_layers=1",
    "model.hidden=[8]",
    "training.epochs=2",
    "training.batch_size=64",
    "optimizer.learning_rate=0.01",
    "evaluation.bootstrap=0",
]
GATE = ["minimum.auc=0.3", "max_loss.auc=0.01", "min_slice_rows=50", "min_slice_clicks=10"]
SPLIT = {"split": "day", "day_column": "day_of_week"}


@dataclass
class Runs(PipelineRuns):
    """Runs of click models."""

    roles: Path

    def run(self, name: str, model: str, settings: list[str], *further: str) -> None:
        flags = ["--data", str(self.log), "--impressions", str(self.roles), "--day-col", "day_of_week"]
        flags += ["--root", str(self.root), "--model", model, "--json", *further]
        flags += [part for text in settings for part in ("--set", text)]
        flags += [part for text in GATE for part in ("--gate", text)]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.codes[name] = run_command(main, flags, prog="run")
        self.documents[name] = json.loads(said.getvalue()) if said.getvalue().strip() else {}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """A run that is killed in the Trainer, and the same command again."""
    root = tmp_path_factory.mktemp("pipeline")
    world = ImpressionWorldConfig(num_rows=1400, median_length=6, click_rate=0.2, missing_rate=0.02, main_effect=1.5)
    ImpressionWorld(world).write(root / "doubles.parquet")
    log = pq.read_table(root / "doubles.parquet")
    single = [pa.field(one.name, pa.float32() if one.type == pa.float64() else one.type) for one in log.schema]
    pq.write_table(log.cast(pa.schema(single)), root / "log.parquet")  # what examples can hold
    (root / "roles.yaml").write_text(yaml.safe_dump(ROLES))
    found = Runs(root / "ads", root / "log.parquet", root / "roles.yaml")
    with many_runs():
        with killed_in(experiment, "run_experiment"):  # TFX loads the module of the Trainer anew
            found.run("interrupted", "feseq", SETTINGS)
        found.run("first", "feseq", SETTINGS, "--redis", "redis://localhost:1")
        found.note_trained()
        yield found


def test_an_interrupted_run_continues_from_the_cache(runs: Runs) -> None:
    assert_continued(runs)
    assert "RedisExporter" not in runs.states("first")


def test_the_gate_measures_what_tfrec_evaluate_measures(runs: Runs) -> None:
    document = json.loads((runs.trained / "evaluation.json").read_text())
    slices = runs.documents["first"]["metrics"]
    overall = slices["all"]["candidate"]
    assert overall["rows"] == document["rows"] == 200
    for metric in ("auc", "ap", "logloss", "wll", "score", "click_rate", "mean_prediction"):
        assert overall[metric] == pytest.approx(document["metrics"][metric], abs=1e-6)
    for column in ("day_of_week", "hour", "inventory_id"):
        known = {f"{column}:{part['value']}": part for part in document["slices"][column]}
        compared = [name for name in known if name in slices]  # others are unknown to the vocabulary
        assert len(compared) > 5 or column == "day_of_week"
        for name in compared:
            assert slices[name]["candidate"]["rows"] == known[name]["rows"]
            assert slices[name]["candidate"]["logloss"] == pytest.approx(known[name]["logloss"], abs=1e-6)


def test_the_model_is_that_of_the_commands_by_hand(runs: Runs, tmp_path: Path) -> None:
    options = impression_options(output=str(tmp_path / "DS"), impressions=ROLES, input=(str(runs.log),), **SPLIT)
    convert_impressions(options)
    config = run_config("feseq", assignments=[*SETTINGS, f"data.path={tmp_path / 'DS'}"])
    experiment.run_experiment(config, tmp_path / "run", Console(quiet=True), report=False)
    assert_same_weights(load_run(tmp_path / "run").model, load_run(runs.trained).model)


def test_the_pushed_version_is_whole_and_verified(runs: Runs) -> None:
    folder = pushed_export(runs, "feseq")
    export = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert export["verified"]["requests"] > 3


def test_the_report_has_every_part(runs: Runs) -> None:
    html = runs.report
    for part in REPORT_PARTS:
        assert f'id="{part}"' in html
    assert "Blessed and pushed as version 1" in html
    assert "inventory_id:3" in html
    assert "slices of fewer than 50 rows or 10 clicks are shown and do not block" in html


def test_a_worse_model_is_blocked_and_says_why(runs: Runs) -> None:
    """The click rate of the training rows for everyone."""
    runs.run("worse", "prior", ["evaluation.bootstrap=0"])
    assert runs.codes["worse"] == EXIT_BLOCKED
    document = runs.documents["worse"]
    assert runs.states("worse")["Transform"] == "cached"
    assert document["metrics"]["all"]["candidate"]["auc"] == 0.5
    first = runs.documents["first"]["metrics"]["all"]["candidate"]
    assert document["metrics"]["all"]["baseline"] == pytest.approx(first, abs=1e-6)  # batches have any size
    assert any(re.match(r"auc of all rows is 0.5000, .* below the baseline's", one) for one in document["reasons"])
    assert document["pushed"]["pushed"] is False
    assert runs.versions == ["1"]
