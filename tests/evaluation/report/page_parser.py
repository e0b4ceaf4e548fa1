"""Reads a page back into sections, tables and figures, and notices everything a page must not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class ParsedTable:
    caption: str = ""
    columns: list[str] = field(default_factory=list)
    rows: dict[str, list[str]] = field(default_factory=dict)

    def cell(self, row: str, column: str) -> str:
        """Value of a cell without its note."""
        return self.rows[row][self.columns.index(column) - 1].partition("|")[0]

    def note(self, row: str, column: str) -> str:
        """What stands beneath the value."""
        return self.rows[row][self.columns.index(column) - 1].partition("|")[2]


class PageParser(HTMLParser):
    """Parses a report.

    Attributes:
        sections: Text of every section by id.
        tables: Tables by id of their section.
        figures: Alternative texts of the figures by id of their section.
        tags: Every start tag with its attributes.
        text: Everything that is shown, headings and tables included.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: dict[str, str] = {}
        self.tables: dict[str, list[ParsedTable]] = {}
        self.figures: dict[str, list[str]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self._section = ""
        self._cell = ""
        self._row: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self._section = values["id"] or ""
            self.sections[self._section], self.tables[self._section], self.figures[self._section] = "", [], []
        elif tag == "table":
            self.tables[self._section].append(ParsedTable())
        elif tag == "tr":
            self._row = []
        elif tag in ("th", "td"):
            self._cell = ""
        elif tag == "small":
            self._cell += "|"
        elif tag == "svg":
            self.figures[self._section].append(values.get("aria-label") or "")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)
        if tag in ("th", "td"):
            self._row.append(self._cell)
        elif tag == "tr":
            table = self.tables[self._section][-1]
            if table.columns:
                table.rows[self._row[0].partition("|")[0]] = self._row[1:]
            else:
                table.columns = self._row
        elif tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._section:
            self.sections[self._section] += data
        if "caption" in self.open:
            self.tables[self._section][-1].caption += data
        elif "tr" in self.open:
            self._cell += data

    def attributes(self, name: str) -> list[str]:
        """All values of an attribute, in order."""
        return [value for _, values in self.tags if (value := values.get(name)) is not None]
