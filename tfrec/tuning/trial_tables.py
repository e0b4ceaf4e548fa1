"""Trials as tables: on the console and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement

from tfrec.files import atomic_write
from tfrec.tables import make_table
from tfrec.tuning.objective import Objective
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.trial_record import TrialRecord

_SHOWN = 20
_UNLIMITED = 10_000


def best_trial(records: Sequence[TrialRecord], objective: Objective) -> TrialRecord | None:
    """Returns the best trial, the earlier one of equals, or None when none was completed."""
    best: TrialRecord | None = None
    for record in records:
        if record.score is not None and (best is None or objective.better(record.score, best.score or 0.0)):
            best = record
    return best


def ranked_trials(records: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Returns the completed trials, best first, then the failed ones."""
    sign = -1.0 if objective.direction == "max" else 1.0
    completed = sorted((r for r in records if r.score is not None), key=lambda r: sign * (r.score or 0.0))
    return [*completed, *(record for record in records if record.status == "failed")]


def print_trials(records: Sequence[TrialRecord], settings: SearchSettings, console: Console) -> None:
    """Prints the best trials and all failures; where there is no room for a column per setting, they share one."""
    ranked = ranked_trials(records, settings.goal)
    if not ranked:
        return
    keys = [parameter.key for parameter in settings.space.parameters]
    epochs = any(record.epochs is not None for record in ranked)
    columns = ["trial", settings.goal.name, *(["epochs"] if epochs else []), *(_short(key, keys) for key in keys), "s"]
    rows = [
        [
            record.number,
            "failed" if record.score is None else record.score,
            *([record.epochs] if epochs else []),
            *(_text(record.values.get(key, "")) for key in keys),
            f"{record.seconds:.1f}",
        ]
        for record in ranked[:_SHOWN]
    ]
    title = f"{settings.model}, {settings.searcher}: {len(ranked)} trials on the validation split, best first"
    table = make_table(title, columns, rows)
    wide = console.options.update(max_width=_UNLIMITED)
    if Measurement.get(console, wide, table).maximum > console.width:  # figures are not cut: settings share a column
        first = 3 if epochs else 2
        joined = [
            [
                *row[:first],
                row[-1],
                ", ".join(f"{name} {value}" for name, value in zip(columns[first:-1], row[first:-1], strict=True)),
            ]
            for row in rows
        ]
        table = make_table(title, [*columns[:first], "s", "settings"], joined)
        table.columns[1].no_wrap = True
        table.columns[-1].justify = "left"
    console.print(table)
    for record in ranked:
        if record.status == "failed":
            console.print(f"Trial {record.number} failed: {record.reason}", markup=False, style="red", soft_wrap=True)


def write_table(path: Path, records: Sequence[TrialRecord], settings: SearchSettings) -> None:
    """Writes `trials.csv`: one row per trial in the order they were made."""
    keys = [parameter.key for parameter in settings.space.parameters]
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    head = ["trial", "status", "score", "epochs", "continued_from", "seconds", "reason"]
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow([*head, *keys, *metrics])
        for record in records:
            row: list[Any] = [record.number, record.status, record.score, record.epochs, record.continued_from]
            row += [round(record.seconds, 3), record.reason]
            writer.writerow([*row, *(record.values.get(key) for key in keys), *map(record.metrics.get, metrics)])


def _short(key: str, keys: Sequence[str]) -> str:
    name = key.rpartition(".")[2]
    return name if sum(other.rpartition(".")[2] == name for other in keys) == 1 else key


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
