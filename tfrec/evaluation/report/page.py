"""From sections to one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from tfrec.errors import ConfigError
from tfrec.evaluation.report.blocks import Section
from tfrec.files import atomic_write
from tfrec.version import __version__

_QUOTED = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """A self-contained page.

    Args:
        title: Heading of the page.
        kicker: Kind of page, above the heading.
        lead: One sentence beneath the heading; words in backticks become code.
        sections: Content, each with an entry in the table of contents.
    """

    title: str
    kicker: str
    lead: str
    sections: tuple[Section, ...]
    footer: str = f"Written by tfrec {__version__}. This page is self-contained: it loads nothing and runs no script."
    version: str = __version__


def render_page(page: Page) -> str:
    """Returns the HTML of a page; the same page gives the same text, byte for byte."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfrec.evaluation.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("page.html.j2").render(page=page)


def write_page(html: str, path: str | os.PathLike[str]) -> None:
    """Writes a page atomically; its directory is made when it is missing.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(html)
    except OSError as error:
        raise ConfigError(f"The report `{path}` cannot be written: {error}", remedy="Name another file.") from error


def _code(text: str) -> Markup:
    escaped = str(escape(text))
    return Markup(_QUOTED.sub(r"<code>\1</code>", escaped))
