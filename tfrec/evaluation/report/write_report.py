"""Turns a run directory into one HTML file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from tfrec.errors import ConfigError
from tfrec.evaluation.report.accuracy_section import accuracy_section
from tfrec.evaluation.report.audit_section import audit_section
from tfrec.evaluation.report.blocks import Section
from tfrec.evaluation.report.learning_section import learning_section
from tfrec.evaluation.report.overview_section import overview_section
from tfrec.evaluation.report.popularity_section import popularity_section
from tfrec.evaluation.report.provenance_section import data_section, provenance_section
from tfrec.evaluation.report.ranks_section import ranks_section
from tfrec.evaluation.report.run_documents import RunDocuments, read_run
from tfrec.evaluation.report.similarity_section import similarity_section
from tfrec.evaluation.report.slices_section import slices_section
from tfrec.files import atomic_write
from tfrec.version import __version__

_SECTIONS = (
    overview_section,
    accuracy_section,
    learning_section,
    ranks_section,
    slices_section,
    popularity_section,
    similarity_section,
    audit_section,
    data_section,
    provenance_section,
)
_QUOTED = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class _Page:
    title: str
    kicker: str
    lead: str
    footer: str
    version: str
    sections: tuple[Section, ...]


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
    html = render_report(read_run(Path(run), evaluation))
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(html)
    except OSError as error:
        raise ConfigError(f"The report `{path}` cannot be written: {error}", remedy="Name another file.") from error


def render_report(run: RunDocuments) -> str:
    """Returns the HTML of a report."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfrec.evaluation.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    made = (make(run) for make in _SECTIONS)
    return environment.get_template("page.html.j2").render(page=_page(run, tuple(part for part in made if part)))


def _code(text: str) -> Markup:
    escaped = str(escape(text))
    return Markup(_QUOTED.sub(r"<code>\1</code>", escaped))


def _page(run: RunDocuments, sections: tuple[Section, ...]) -> _Page:
    data = _data_name(run)
    said = [f"Run `{run.name}`"]
    if run.manifest.get("created"):
        said.append(f"trained {str(run.manifest['created'])[:16].replace('T', ' ')} UTC")
    if "seed" in run.manifest:
        said.append(f"seed {run.manifest['seed']}")
    return _Page(
        title=f"{run.model} on {data}",
        kicker="tfrec run report",
        lead=f"{', '.join(said)}.",
        footer=f"Written by tfrec {__version__}. This page is self-contained: it loads nothing and runs no script.",
        version=__version__,
        sections=sections,
    )


def _data_name(run: RunDocuments) -> str:
    settings = (run.manifest.get("config") or {}).get("data") or {}
    place = run.evaluation.get("data") or settings.get("path")
    if settings.get("path") is None and (place is None or Path(str(place)).name == "dataset"):
        return "synthetic clicks"
    return str(place).rstrip("/").rpartition("/")[2]
