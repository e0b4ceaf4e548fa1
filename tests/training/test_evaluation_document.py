"""From a run to its evaluation: both protocols, intervals, alarms, audit, and the comparison of two runs."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from tests.oracles import ranking as oracle
from tfrec.command import run_command
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError
from tfrec.evaluate import main
from tfrec.training.compare_runs import compare_runs
from tfrec.training.evaluation_document import finite_numbers
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import load_run, run_config

QUIET = Console(quiet=True)
SETTINGS = [
    "evaluation.protocol=both",
    "evaluation.exclude_history=true",
    "evaluation.sampled.num_negatives=19",
    "evaluation.bootstrap.samples=100",
    "evaluation.baselines=[popularity,item_knn]",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who walk along a ring of 50 items, each from a place of its own: the next item is easy to tell."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(120):
        start, length = rng.integers(0, 50), rng.integers(4, 15)
        for step in range(length):
            item = (start + step) % 50 if rng.random() < 0.8 else rng.integers(0, 50)
            rows.append((user, int(item), int(1_600_000_000 + rng.integers(0, 40) + 50 * step)))
    folder = tmp_path_factory.mktemp("ring") / "DS"
    columns = dict(zip(("user_id", "item_id", "timestamp"), zip(*rows, strict=True), strict=True))
    convert(ConversionOptions(output=str(folder), split="leave_one_out"), table=pa.table(columns))
    return folder


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("markov", "popularity"):
        config = run_config(name, assignments=[f"data.path={dataset}", *SETTINGS])
        run_experiment(config, folder / name, QUIET)
    return {name: folder / name for name in ("markov", "popularity")}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_document_holds_both_protocols_side_by_side(runs: dict[str, Path]) -> None:
    document = read(runs["markov"] / "evaluation.json")
    full, sampled = document["protocols"]
    assert (full["label"], sampled["label"]) == ("full, history excluded", "sampled, 19 uniform negatives")
    assert full["num_candidates"] == document["dataset"]["items"]
    assert sampled["num_candidates"] == 20
    assert sampled["chance"]["hit@10"] == 0.5
    assert full["chance"]["hit@10"] < 0.3
    for section in (full, sampled):
        assert list(section["models"]) == ["popularity", "item_knn", "markov"]
        assert section["models"]["markov"]["metrics"]["hit@5"] > section["models"]["popularity"]["metrics"]["hit@5"]
        assert section["num_targets"] == 120
    # Among 20 candidates everybody looks better.
    assert sampled["models"]["popularity"]["metrics"]["hit@5"] > full["models"]["popularity"]["metrics"]["hit@5"]
    assert document["bootstrap"] == {"samples": 100, "confidence": 0.95, "seed": 0, "unit": "user", "units": 120}
    assert document["alarms"] == []
    assert document["audit"]["note"] == "leaks across users in time"
    assert not document["audit"]["clean"]
    assert full["models"]["markov"]["lists"]["num_lists"] == 120
    assert [slicing["name"] for slicing in sampled["models"]["markov"]["slices"]] == [
        "item popularity",
        "user activity",
        "item age in training",
    ]


def test_metrics_json_keeps_its_keys(runs: dict[str, Path]) -> None:
    metrics, document = read(runs["markov"] / "metrics.json"), read(runs["markov"] / "evaluation.json")
    assert metrics["protocol"] == "full, history excluded"
    assert metrics["test"]["protocol"] == "full, history excluded"
    assert metrics["test"] == document["metrics"]
    assert metrics["baselines"]["popularity"] == document["protocols"][0]["models"]["popularity"]["metrics"]
    assert metrics["sampled"]["metrics"]["protocol"] == "sampled, 19 uniform negatives"
    assert metrics["split_note"] == "leaks across users in time"
    assert metrics["alarms"] == []
    for key in ("recall@20", "mrr", "avg_rank", "coverage@10", "gini@10", "popularity@10", "overlap@10"):
        assert metrics["test"][key] >= 0


def test_full_ranking_is_that_of_the_oracle(runs: dict[str, Path], dataset: Path) -> None:
    arrays = InteractionDataset.open(dataset).load_ragged("test")
    popularity = load_run(runs["popularity"]).model.table("popularity").numpy()
    ranks = []
    for row in range(len(arrays)):
        sequence = arrays.items[arrays.offsets[row] : arrays.offsets[row + 1]].tolist()
        candidates = oracle.candidate_columns(popularity.size, sequence[:-1], sequence[-1], True)
        ranks.append(oracle.rank_of(popularity, sequence[-1], candidates, "conservative"))
    expected = oracle.metrics(ranks, [1, 5, 10, 20])
    found = read(runs["popularity"] / "evaluation.json")["metrics"]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_evaluating_again_changes_what_is_asked_for(runs: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    output = tmp_path / "again.json"
    arguments = ["--run", str(runs["markov"]), "--protocol", "sampled", "--negatives", "9", "--no-baselines"]
    assert run_command(main, [*arguments, "--set", "evaluation.details=false", "--output", str(output)]) == 0
    again = read(output)
    (section,) = again["protocols"]
    assert again["protocol"] == section["label"] == "sampled, 9 uniform negatives"
    assert section["chance"]["hit@5"] == 0.5
    assert (again["audit"], section["models"]["markov"]["slices"]) == (None, [])
    assert "sampled" not in again
    assert "sampled, 9 uniform negatives" in " ".join(capsys.readouterr().out.split())
    assert not output.with_name("again.json.partial").exists()


def test_comparing_two_runs(runs: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    output = tmp_path / "compared.json"
    arguments = ["--compare", str(runs["markov"]), str(runs["popularity"]), "--output", str(output)]
    assert run_command(main, arguments) == 0
    document = read(output)
    assert document["models"] == ["markov", "popularity"]
    full, sampled = document["protocols"]
    row = next(row for row in full["rows"] if row["metric"] == "ndcg@10")
    first, second = (read(runs[name] / "metrics.json")["test"]["ndcg@10"] for name in ("markov", "popularity"))
    assert (row["a"], row["b"]) == pytest.approx((first, second))
    assert row["difference"] == pytest.approx(first - second)
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert (row["p_value"], row["share_better"]) == (1 / 100, 1.0)
    assert sampled["label"] == "sampled, 19 uniform negatives"
    lines = capsys.readouterr().out.splitlines()
    assert ["metric", "A", "B", "chance", "A", "-", "B", "from", "to", "p", "better"] in [
        line.split() for line in lines
    ]
    printed = next(line.split() for line in lines if line.split()[:1] == ["ndcg@10"])
    numbers = [row[key] for key in ("a", "b", "chance", "difference", "low", "high")]
    assert printed == ["ndcg@10", *(f"{number:.4f}" for number in numbers), "0.010", "100.0%"]
    assert max(map(len, lines)) <= 80


def test_what_cannot_be_compared_is_refused(runs: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs["popularity"], other)
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("num_negatives: 19", "num_negatives: 29"))
    with pytest.raises(ConfigError, match=r"evaluation.sampled.num_negatives `19`.*`29`: .*mean different"):
        compare_runs(runs["markov"], other, QUIET)
    compared = compare_runs(runs["markov"], other, QUIET, assignments=["evaluation.sampled.num_negatives=9"])
    assert compared["protocols"][1]["label"] == "sampled, 9 uniform negatives"
    with pytest.raises(ConfigError, match="nothing to resample"):
        compare_runs(runs["markov"], runs["popularity"], QUIET, assignments=["evaluation.bootstrap.samples=0"])
    (other / "config.yaml").write_text(text)
    manifest = read(other / "manifest.json")
    manifest["dataset"]["shards"]["test"] = ["0" * 64]
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match=r"different data \(splits `test` differ\)"):
        compare_runs(runs["markov"], other, QUIET)
    assert compare_runs(runs["markov"], other, QUIET, data=str(dataset), assignments=["evaluation.protocol=full"])


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ([], "--compare RUN_A RUN_B"),
        (["--run", "R", "--compare", "A", "B"], "--compare RUN_A RUN_B"),
        (["--compare", "A", "B", "--resume"], "does not go with"),
        (["--compare", "A", "B", "--data", "D", "--data", "E"], "one data set"),
        (["--run", "R", "--set", "model.layers=[3]"], "not a setting of the evaluation"),
        (["--run", "R", "--resume"], "--output"),
        (["--run", "R", "--report", "F", "--data", "D", "--data", "E"], "one data set"),
    ],
)
def test_flags_that_do_not_go_together(arguments: list[str], fragment: str, capsys: Any) -> None:
    assert run_command(main, arguments) == 2
    assert fragment in " ".join(capsys.readouterr().err.split())


def test_a_list_of_candidates_goes_with_full_ranking_only(runs: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "items.txt"
    path.write_text("\n".join(str(item) for item in range(20)))
    arguments = ["--run", str(runs["markov"]), "--candidates", str(path), "--no-baselines"]
    assert run_command(main, arguments) == 2
    assert "--protocol full" in capsys.readouterr().err
    output = tmp_path / "subset.json"
    assert run_command(main, [*arguments, "--protocol", "full", "--output", str(output)]) == 0
    (section,) = read(output)["protocols"]
    assert (section["name"], section["num_candidates"]) == ("subset", 20)
    assert section["num_unknown_targets"] > 0
    assert section["models"]["markov"]["lists"] is None


def test_the_console_shows_intervals_and_leaks(dataset: Path, tmp_path: Path) -> None:
    text = StringIO()
    console = Console(file=text, width=200)
    config = run_config("markov", assignments=[f"data.path={dataset}", *SETTINGS, "evaluation.protocol=full"])
    run_experiment(config, tmp_path / "run", console)
    printed = text.getvalue()
    assert "95 % interval" in printed
    assert "against item_knn" in printed or "against popularity" in printed
    assert "Split leave_one_out: leaks across users in time." in printed
    assert "Leak: targets whose item others consume later, in training:" in printed


def test_json_has_no_infinity() -> None:
    document = {"a": [1.0, float("nan"), {"b": float("inf")}], "c": "inf", "d": None, "e": 3}
    assert finite_numbers(document) == {"a": [1.0, None, {"b": None}], "c": "inf", "d": None, "e": 3}
