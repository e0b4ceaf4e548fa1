"""Quoting for the SQL that the conversion is written in."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Returns a column or table name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Returns a string quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"
