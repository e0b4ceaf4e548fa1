"""The report that every finished training leaves behind."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

REPORT_FILE = "report.html"


def leave_report(run: Path, console: Console) -> None:
    """Writes `report.html` into a run directory; whatever goes wrong is one line on the console.

    The training is over and its results are on disk, so that no trouble with a page may turn it into a failure.
    `python -m tfrec.evaluate --run RUN --report FILE` writes the page again and reports errors as usual.

    Args:
        run: Run directory with `metrics.json`.
        console: For the name of the file, or the reason why there is none.
    """
    path = run / REPORT_FILE
    try:
        from tfrec.evaluation.report.write_report import write_report  # its figures take a second to import

        write_report(run, path)
    except Exception as error:  # noqa: BLE001  a page is never worth a finished training
        console.print(f"No report: {type(error).__name__}: {error}", markup=False, style="yellow")
        return
    console.print(f"Report: {path}", markup=False)
