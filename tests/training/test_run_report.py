from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.evaluation.report import sample_run
from tfrec.evaluation.report import write_report as module
from tfrec.training.run_report import leave_report


def test_leaves_a_page_and_names_it(tmp_path: Path) -> None:
    run = sample_run.write_run(tmp_path / "RUN")
    output = StringIO()
    leave_report(run, Console(file=output, width=200))
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert output.getvalue() == f"Report: {run / 'report.html'}\n"


def test_damaged_run_is_one_line(tmp_path: Path) -> None:
    output = StringIO()
    leave_report(tmp_path, Console(file=output, width=300))
    assert output.getvalue().startswith("No report: DataError: `")
    assert list(tmp_path.iterdir()) == []


def test_bug_is_one_line_but_an_interruption_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: Path, path: Path) -> None:
        raise failure

    monkeypatch.setattr(module, "write_report", fail)
    output = StringIO()
    failure: BaseException = ZeroDivisionError("division by zero")
    leave_report(tmp_path, Console(file=output))
    assert output.getvalue() == "No report: ZeroDivisionError: division by zero\n"
    failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        leave_report(tmp_path, Console(file=output))
