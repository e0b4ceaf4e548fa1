"""Turns a run directory into one HTML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.evaluation.report.accuracy_section import accuracy_section
from tfrec.evaluation.report.audit_section import audit_section
from tfrec.evaluation.report.blocks import Section
from tfrec.evaluation.report.clicks_section import clicks_section
from tfrec.evaluation.report.codes_section import codes_section
from tfrec.evaluation.report.experts_section import experts_section
from tfrec.evaluation.report.learning_section import learning_section
from tfrec.evaluation.report.overview_section import overview_section
from tfrec.evaluation.report.page import Page, render_page, write_page
from tfrec.evaluation.report.popularity_section import popularity_section
from tfrec.evaluation.report.provenance_section import data_section, provenance_section
from tfrec.evaluation.report.ranks_section import ranks_section
from tfrec.evaluation.report.reranking_section import reranking_section
from tfrec.evaluation.report.run_documents import RunDocuments, read_run
from tfrec.evaluation.report.similarity_section import similarity_section
from tfrec.evaluation.report.slices_section import slices_section
from tfrec.evaluation.report.stages_section import stages_section
from tfrec.evaluation.report.users_section import users_section

_SECTIONS = (
    overview_section,
    users_section,
    accuracy_section,
    clicks_section,
    stages_section,
    learning_section,
    experts_section,
    codes_section,
    ranks_section,
    slices_section,
    popularity_section,
    reranking_section,
    similarity_section,
    audit_section,
    data_section,
    provenance_section,
)


def write_report(
    run: str | os.PathLike[str], path: str | os.PathLike[str], *, evaluation: Mapping[str, Any] | None = None
) -> None:
    """Writes the report of a run: one HTML file that needs nothing else, not even a network.

    The same run directory gives the same file, byte for byte. Parts whose data are absent are left out.

    Args:
        run: Run directory of `tfrec.train`.
        path: The file; its directory is made when it is missing.
        evaluation: Document of `tfrec.evaluate` to report instead of the evaluation in the run directory.

    Raises:
        DataError: It is no run directory, or a file of it is damaged.
        ConfigError: The file cannot be written.

    Example:
        >>> write_report("RUN", "RUN/report.html")  # doctest: +SKIP
    """
    write_page(render_report(read_run(Path(run), evaluation)), path)


def render_report(run: RunDocuments) -> str:
    """Returns the HTML of a report."""
    made = (make(run) for make in _SECTIONS)
    return render_page(_page(run, tuple(part for part in made if part)))


def _page(run: RunDocuments, sections: tuple[Section, ...]) -> Page:
    data = _data_name(run)
    said = [f"Run `{run.name}`"]
    if run.manifest.get("created"):
        said.append(f"trained {str(run.manifest['created'])[:16].replace('T', ' ')} UTC")
    if "seed" in run.manifest:
        said.append(f"seed {run.manifest['seed']}")
    return Page(
        title=f"{run.model} on {data}",
        kicker="tfrec run report",
        lead=f"{', '.join(said)}.",
        sections=sections,
    )


def _data_name(run: RunDocuments) -> str:
    settings = (run.manifest.get("config") or {}).get("data") or {}
    place = run.evaluation.get("data") or settings.get("path")
    if settings.get("path") is None and (place is None or Path(str(place)).name == "dataset"):
        return "synthetic clicks"
    return str(place).rstrip("/").rpartition("/")[2]
