"""The command: a kill that nothing can catch, what it prints, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfrec.command import run_command
from tfrec.tune import main

ROOT = Path(__file__).resolve().parents[2]
SPACE = """
space:
  model.recency_decay: {type: float, min: 0.05, max: 1.0}
  model.similarity: {type: choice, values: [cosine, tfidf]}
"""


@pytest.fixture
def search(clicks: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "space.yaml").write_text(SPACE)
    flags = ["--model", "item_knn", "--data", str(clicks), "--space", str(tmp_path / "space.yaml")]
    return [*flags, "--trials", "5", "--seed", "3", "--confirm-seeds", "0"]


def trials(folder: Path) -> list[dict[str, object]]:
    journal = folder / "trials.json"
    return json.loads(journal.read_text())["trials"] if journal.is_file() else []


@pytest.mark.slow
@pytest.mark.one_stack
@pytest.mark.e2e
def test_after_kill_nine_the_search_makes_the_same_trials(search: list[str], tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    said = tmp_path / "said.txt"
    process = subprocess.Popen(
        [sys.executable, "-m", "tfrec.tune", *search, "--output", str(killed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=said.open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 300
        while not (len(trials(killed)) == 3 and trials(killed)[-1]["status"] == "running"):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = trials(killed)
    assert [trial["status"] for trial in before] == ["completed", "completed", "running"]
    assert run_command(main, [*search, "--output", str(killed), "--resume"]) == 0
    assert run_command(main, [*search, "--output", str(tmp_path / "whole")]) == 0
    after, whole = trials(killed), trials(tmp_path / "whole")
    assert [trial["values"] for trial in after] == [trial["values"] for trial in whole]
    assert [trial["score"] for trial in after] == [trial["score"] for trial in whole]
    assert after[:2] == before[:2]  # not trained again: the same times too
    assert after[2]["attempts"] == 2


def test_a_dry_run_says_what_would_be_tried(
    search: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, [*search, "--output", str(tmp_path / "s"), "--dry-run", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["combinations"], document["num_trials"], len(document["first_trials"])) == (None, 5, 3)
    assert "0.05 to 1" in captured.err
    assert "a continuum of combinations, 5 trials, random, seed 3; objective ndcg@10" in captured.err.replace("\n", " ")
    assert not (tmp_path / "s").exists()


def test_long_keys_are_whole_in_a_preview(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    flags = ["--model", "sasrec", "--trials", "1", "--output", str(tmp_path / "s"), "--dry-run"]
    assert run_command(main, flags) == 0
    table = capsys.readouterr().out.split("a continuum")[0]
    assert "…" not in table
    first = "".join(line[:26].strip() for line in table.splitlines())
    assert "training.augmentation.mask_share" in first


def test_what_it_refuses(search: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ["--output", str(tmp_path / "s")]
    for flags, code, message in [
        ([], 2, "No model is given"),
        (["--model", "gru4rek"], 2, "Did you mean `gru4rec`"),
        (["--model", "markov"], 2, "no search space for `markov`"),
        ([*search, "--searcher", "hyperband"], 2, "needs epochs"),
        ([*search, "--objective", "ndcg"], 2, "`ndcg@K`"),
        ([*search, "--set", "model.shrinkag=1"], 2, "Did you mean `shrinkage`"),
        ([*search, "--resume"], 2, "no search to resume"),
    ]:
        assert run_command(main, [*flags, *output]) == code
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "s").exists()
