"""Conditions that rows of a log must satisfy to be read as events, such as `rating>=4`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tfrec.data.source_files import SourceFile
from tfrec.data.sql import identifier, literal
from tfrec.errors import ConfigError, DataError

_FORM = re.compile(r"^(?P<column>.+?)\s*(?P<operator>>=|<=|!=|=|>|<)\s*(?P<value>.*)$", re.DOTALL)
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_INTEGER = re.compile(r"^[+-]?\d{1,30}$")
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_EXAMPLE = "Write COLUMN OPERATOR VALUE with one of = != < <= > >=, for example 'rating>=4' or 'event=view'."


@dataclass(frozen=True)
class RowCondition:
    """A comparison of one column with one value.

    A number is compared as a number, also where the column is text (`4` equals `4.0`); anything else as text, for
    equality only. A missing value satisfies no condition.

    Attributes:
        text: The condition as it was written.
        column: Name of the column.
        operator: `=`, `!=`, `<`, `<=`, `>` or `>=`.
        value: What the column is compared with.
    """

    text: str
    column: str
    operator: str
    value: str

    @property
    def ordered(self) -> bool:
        """Whether the operator asks for an order, which only numbers have."""
        return self.operator not in ("=", "!=")

    def sql(self, source: SourceFile) -> str:
        """Returns SQL that is true for the rows of a file that satisfy the condition, false for the others.

        Raises:
            DataError: The column is not numeric or text, or the value does not fit it.
        """
        kind, name = source.columns[self.column], identifier(self.column)
        numeric = bool(_NUMBER.match(self.value))
        textual = kind in ("VARCHAR", "UUID", "BOOLEAN") or kind.startswith("ENUM")
        if kind in _INTEGERS and _INTEGER.match(self.value):
            compared = f"{name} {self.operator} {int(self.value)}"
        elif kind in _INTEGERS or kind in ("DOUBLE", "FLOAT", "HUGEINT") or kind.startswith("DECIMAL"):
            if not numeric:
                raise self._unfit(source, f"the column is {kind} and `{self.value}` is not a number")
            compared = f"{_number(name)} {self.operator} {float(self.value)!r}"
        elif not textual:
            raise self._unfit(source, f"the column is {kind}, which is neither a number nor text")
        elif numeric and self.operator == "!=":
            present = f"nullif(CAST({name} AS VARCHAR), '') IS NOT NULL"
            compared = f"{present} AND {_number(name)} IS DISTINCT FROM {float(self.value)!r}"
        elif numeric:
            compared = f"{_number(name)} {self.operator} {float(self.value)!r}"
        else:
            compared = f"nullif(CAST({name} AS VARCHAR), '') {self.operator} {literal(self.value)}"
        return f"coalesce({compared}, false)"

    def unordered(self, source: SourceFile) -> str | None:
        """Returns SQL that is true where a text that is no number meets an ordered comparison; None where none can."""
        if not self.ordered or source.columns[self.column] != "VARCHAR":
            return None
        name = identifier(self.column)
        return f"nullif({name}, '') IS NOT NULL AND TRY_CAST({name} AS DOUBLE) IS NULL"

    def not_a_number(self, source: SourceFile, value: Any, row: int) -> DataError:
        """Returns the error for a row found by `unordered`."""
        return DataError(
            f"`{value}` is not a number, but `--where {self.text}` compares numbers.",
            file=source.path,
            column=self.column,
            row=row,
            remedy="Correct the row, or compare with = or !=.",
        )

    def _unfit(self, source: SourceFile, why: str) -> DataError:
        return DataError(
            f"`--where {self.text}` cannot be checked: {why}.", file=source.path, column=self.column, remedy=_EXAMPLE
        )


def _number(name: str) -> str:
    return f"CASE WHEN NOT isnan(TRY_CAST({name} AS DOUBLE)) THEN TRY_CAST({name} AS DOUBLE) END"


def parse_condition(text: str) -> RowCondition:
    """Returns the condition written as `COLUMN OPERATOR VALUE`.

    Nothing of it is ever run as SQL: the column is looked up among those of the files, the value becomes a constant.

    Raises:
        ConfigError: It does not have that form, or asks for the order of something that is no number.

    Example:
        >>> parse_condition("rating >= 4").column
        'rating'
    """
    found = _FORM.match(text.strip())
    if found is None or not found["value"]:
        raise ConfigError(f"`--where` is `{text}`, which is not a condition.", remedy=_EXAMPLE)
    condition = RowCondition(text.strip(), found["column"], found["operator"], found["value"])
    if condition.ordered and not _NUMBER.match(condition.value):
        raise ConfigError(
            f"`--where {text}` compares with `{condition.value}`, which is not a number.",
            remedy="Only numbers have an order here; use = or != for text.",
        )
    return condition
