"""What a benchmark found: figures per repetition, ratios within the run, and the checks that held."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tfrec.command import make_table
from tfrec.errors import TfrecError


@dataclass(frozen=True)
class Figure:
    """One row of a report.

    Attributes:
        group: What was the same for all cases that are compared, for example the data; may be empty.
        case: What was timed.
        unit: Unit of the values.
        values: One value per repetition.
        ratios: Per repetition, this value over that of another case in the same repetition; empty without one.
        relative_to: Name of that case.
    """

    group: str
    case: str
    unit: str
    values: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    relative_to: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the row with median, minimum and maximum."""
        document: dict[str, Any] = {"group": self.group, "case": self.case, "unit": self.unit, **_spread(self.values)}
        if self.ratios:
            document["ratio"] = {"to": self.relative_to, **_spread(self.ratios)}
        return document


@dataclass
class BenchmarkReport:
    """Figures of one benchmark.

    Attributes:
        name: Name of the benchmark.
        title: What it measures, for people.
        repetitions: How often every case was timed; the cases take turns, so that drift of the machine hits all alike.
        settings: Sizes and settings.
        figures: Rows.
        checks: Statements about what was timed that were verified.
        notes: What a reader has to know to compare the figures.
        seconds: How long the whole benchmark took, preparation and checks included.
    """

    name: str
    title: str
    repetitions: int
    settings: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, group: str, case: str, unit: str, values: Sequence[float], *, relative_to: str = "") -> None:
        """Adds a row.

        Args:
            group: What is the same for all cases that are compared.
            case: What was timed.
            unit: Unit of the values.
            values: One per repetition.
            relative_to: Earlier case of this group and unit; the ratio to it is taken repetition by repetition.
        """
        ratios: tuple[float, ...] = ()
        if relative_to:
            wanted = (group, relative_to, unit)
            other = next(figure for figure in self.figures if (figure.group, figure.case, figure.unit) == wanted)
            ratios = tuple(value / base for value, base in zip(values, other.values, strict=True))
        self.figures.append(Figure(group, case, unit, tuple(values), ratios, relative_to))

    def check(self, holds: bool, statement: str) -> None:
        """Records a statement about what was timed.

        Raises:
            TfrecError: It does not hold, so the figures would mean nothing.
        """
        if not holds:
            raise TfrecError(
                f"The benchmark `{self.name}` timed something that is wrong; expected: {statement}.",
                remedy="Run the tests (`make test`) to find the cause.",
            )
        self.checks.append(statement)

    def to_json(self) -> dict[str, Any]:
        """Returns the whole report as a JSON document."""
        return {
            "name": self.name,
            "title": self.title,
            "repetitions": self.repetitions,
            "settings": self.settings,
            "figures": [figure.to_json() for figure in self.figures],
            "checks": self.checks,
            "notes": self.notes,
            "seconds": self.seconds,
        }

    def tables(self) -> list[Table]:
        """Returns one table per unit for the terminal; groups are ruled off."""
        return [self._table(unit) for unit in dict.fromkeys(figure.unit for figure in self.figures)]

    def _table(self, unit: str) -> Table:
        figures = [figure for figure in self.figures if figure.unit == unit]
        rows = []
        for figure in figures:
            name = f"{figure.group}: {figure.case}" if figure.group else figure.case
            ratio = _number(statistics.median(figure.ratios)) if figure.ratios else ""
            middle = statistics.median(figure.values)
            rows.append([name, *(_number(value) for value in (middle, min(figure.values), max(figure.values))), ratio])
        title = f"{self.title}, {unit} ({self.repetitions} repetitions)"
        table = make_table(title, ["case", "median", "min", "max", "ratio"], rows)
        for row, figure, following in zip(table.rows, figures, figures[1:], strict=False):
            row.end_section = figure.group != following.group
        return table


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": float(statistics.median(values)),
        "min": float(min(values)),
        "max": float(max(values)),
        "values": [float(value) for value in values],
    }


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"
