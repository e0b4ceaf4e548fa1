"""The data of a click model: rows and clicks of every split, how they were split, what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Cell, Row, Table
from tfrec.evaluation.report.numbers import count_text, known, metric_text

_SPLITS = ("train", "valid", "test")
_RULES = {
    "random": ("random rows", ("valid_fraction", "test_fraction", "seed")),
    "tail": ("the last rows in the order of the files", ("valid_fraction", "test_fraction")),
    "time": ("the last rows by time", ("time_column", "valid_fraction", "test_fraction")),
    "day": ("the last days", ("day_column", "valid_days", "test_days")),
    "given": ("files of their own", ()),
}


def impressions_data(dataset: Mapping[str, Any]) -> tuple[list[tuple[str, str, str]], Table]:
    """Returns facts and a table of the splits, from the manifest of a dataset of impressions."""
    facts = [("rows read", count_text(dataset.get("rows_read")), "")]
    sample = (dataset.get("options") or {}).get("sample")
    if known(sample):
        facts.append(("rows drawn", count_text(sample), "by `--sample`"))
    return facts, _table(dataset)


def _table(dataset: Mapping[str, Any]) -> Table:
    splits = dataset.get("splits") or {}
    rows = []
    for name in [name for name in _SPLITS if name in splits]:
        total, clicks = splits[name].get("rows"), splits[name].get("clicks")
        rate = clicks / total if known(total) and known(clicks) and total else None
        cells = (Cell(count_text(total)), Cell(count_text(clicks)), Cell(metric_text("click_rate", rate)))
        rows.append(Row(name, cells))
    return Table(f"Split rule: {_rule(dataset)}", "split", ("rows", "clicks", "click rate"), tuple(rows))


def _rule(dataset: Mapping[str, Any]) -> str:
    options = dataset.get("options") or {}
    name = str(options.get("split", "unknown"))
    meaning, parameters = _RULES.get(name, ("", ()))
    said = [meaning] if meaning else []
    said += [f"{key.replace('_', ' ')} {options[key]}" for key in parameters if options.get(key) is not None]
    return f"{name} ({', '.join(said)})" if said else name
