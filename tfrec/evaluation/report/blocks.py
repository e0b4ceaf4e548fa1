"""What a page is made of: sections of notices, facts, tables, charts and listings, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Args:
        text: What is shown.
        note: Shown smaller beneath it, for example the bootstrap interval.
        tone: `best` of its column, or an `alarm`.
    """

    text: str
    note: str = ""
    tone: Literal["", "best", "alarm"] = ""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: Row header.
        cells: One cell per column.
        role: `model` is what the page is about, `reference` a row that is no recommender (chance, optimum).
        note: Shown smaller beneath the name.
    """

    name: str
    cells: tuple[Cell, ...]
    role: Literal["", "model", "reference"] = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with row headers.

    Args:
        caption: What the rows and numbers are.
        corner: Header of the row headers.
        columns: Headers of the columns.
        rows: Rows.
        sentences: Row headers are sentences, which need more room than names.
    """

    kind: ClassVar[str] = "table"
    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sentences: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure.

    Args:
        title: What it shows.
        svg: Inline SVG, with its own alternative text.
        caption: How to read it.
    """

    title: str
    svg: Markup
    caption: str = ""


@dataclass(frozen=True)
class Charts:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "charts"
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Notice:
    """A message that must not be overlooked.

    Args:
        level: `alarm`: the numbers cannot be trusted; `warning`: read them with care; `fine`: checked, nothing found.
        label: One word for it, because colour alone says nothing to some readers.
        title: The message.
        text: What follows from it.
    """

    kind: ClassVar[str] = "notice"
    level: Literal["alarm", "warning", "fine"]
    label: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values.

    Args:
        entries: Name, value, and a note (may be empty).
        large: The few figures that the page is about.
    """

    kind: ClassVar[str] = "facts"
    entries: tuple[tuple[str, str, str], ...]
    large: bool = False


@dataclass(frozen=True)
class Heading:
    """Heading of a part of a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Listing:
    """Text in fixed pitch, line by line."""

    kind: ClassVar[str] = "listing"
    text: str


@dataclass(frozen=True)
class Fold:
    """Something that stays folded until it is asked for.

    Args:
        title: What it is.
        content: Shown when unfolded.
    """

    kind: ClassVar[str] = "fold"
    title: str
    content: Table | Listing | Facts


Block = Table | Charts | Notice | Facts | Heading | Paragraph | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page with a place in its table of contents.

    Args:
        name: Anchor, in lower case.
        title: Heading.
        blocks: Content.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
