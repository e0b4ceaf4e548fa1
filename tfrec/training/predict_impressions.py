"""Click probabilities for the rows of a file, streamed to a CSV file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_batches import batch_of_columns
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns, open_sources
from tfrec.data.impressions.unique_ids import check_unique_ids
from tfrec.data.vocabulary import OOV_INDEX
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.click_metrics import balanced_shift, probabilities
from tfrec.evaluation.score_impressions import logits_function
from tfrec.training.fit_impressions import weight_of_clicks
from tfrec.training.impression_experiment import ENCODER_FOLDER
from tfrec.training.model_store import is_click_run, load_run
from tfrec.training.prediction_journal import PredictionTally, journal_path, resumed_tally, save_tally
from tfrec.training.prediction_order import check_sample, order_as_sample
from tfrec.training.run_directory import RunDirectory

_SAVE_BATCHES = 64
_SAVE_SECONDS = 20.0
_DIGITS = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PredictionOptions:
    """What is predicted, and how it is written.

    Attributes:
        run: Run directory of a click model.
        input: Files, globs or directories.
        output: CSV file to write.
        id_column: Column that names a row. Default: `id` of the schema; without it rows are numbered from 0.
        column: Name of the column of probabilities. Default: the label.
        sample: CSV file whose first column has the ids in the order that is wanted.
        balanced: Predict as if there were as many clicks as other rows.
        resume: Go on where an interrupted call stopped.
        overwrite: Replace an existing output.
    """

    run: Path
    input: tuple[str, ...]
    output: Path
    id_column: str | None = None
    column: str | None = None
    sample: Path | None = None
    balanced: bool = False
    resume: bool = False
    overwrite: bool = False


def predict_impressions(
    options: PredictionOptions, *, progress: Progress | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Predicts every row, in the order of the input or of a sample file.

    Rows are read, encoded with what the training rows taught, predicted and written a thousand at a time, so memory
    does not grow with the file, but for 8 bytes per row while ids are compared, before anything else. The output
    appears when it is whole and checked: as many rows as the input, no id twice, every probability finite and between 0
    and 1. An interrupted call leaves `<output>.partial`, from which `resume` goes on.

    Args:
        options: What is predicted.
        progress: Called as `progress(rows done, rows)`.
        say: Called with a sentence where an interrupted call left something, or `resume` found nothing.

    Returns:
        `output`, `rows`, `mean`, `min`, `max`, `std`, `unknown` (share of values out of vocabulary by feature,
        of lists among all their values), `first` (first rows), `alarms` (sentences of the evaluation of the run).

    Raises:
        DataError: The input lacks a column, has unreadable values or an id twice; or ids do not fit the sample.
        ConfigError: The output exists, or the run is not of a click model.
    """
    output, partial = options.output, options.output.with_name(f"{options.output.name}.partial")
    sources = check_prediction(options)
    if not is_click_run(options.run):
        raise ConfigError(f"`{options.run}` is a recommender, not a click model.", remedy="Use tfrec.recommend.")
    encoder = FieldEncoder.load(options.run / ENCODER_FOLDER)
    check_columns(sources, encoder.fields.columns)  # what does not fit is said before a model is loaded
    loaded = load_run(options.run)
    model: Any = loaded.model
    id_column = _id_column(options, encoder, sources)
    if id_column is not None and options.id_column is None:  # one that is given was looked at already
        check_unique_ids(sources, id_column)
    total = sum(source.rows for source in sources)
    header = f"{id_column or 'row'},{options.column or encoder.fields.label}\n"
    stamps = [[source.path, source.file.size, source.file.stamp] for source in sources]
    mark = json.dumps([loaded.checkpoint, encoder.hash, stamps, header, options.balanced])
    left = partial.is_file()
    tally = resumed_tally(partial, mark) if options.resume else None
    if say is not None and (left or options.resume):
        say(_beginning(partial, tally, left, total))
    if tally is None:
        journal_path(partial).unlink(missing_ok=True)  # it is of a file that is about to be replaced
    config: Any = loaded.config
    weight = weight_of_clicks(config.objective, model.click_rate)
    shift = balanced_shift(model.click_rate, weight) if options.balanced else 0.0
    predict = logits_function(model)
    with partial.open("r+b" if tally else "wb") as file:
        if tally is None:
            file.write(header.encode())
            tally = PredictionTally(bytes=file.tell())
        file.truncate(tally.bytes)
        file.seek(tally.bytes)
        saved = time.monotonic()
        for number, (source, batch, first, row) in enumerate(_batches(sources, encoder, id_column, tally.rows), 1):
            columns = encoder.encode(batch, file=source.path, rows=np.arange(row, row + batch.num_rows))
            logits = predict(batch_of_columns(columns, encoder.fields, model.max_length)).numpy()
            p = _checked(probabilities(logits.astype(np.float64) + shift), source.path, row)
            _count_unknown(encoder, columns, tally)
            ids = batch.column(batch.schema.get_field_index(id_column)) if id_column else _numbers(first, len(p))
            _write(file, ids, p, source.path, row)
            tally.add(p)
            if number % _SAVE_BATCHES == 0 or time.monotonic() - saved > _SAVE_SECONDS:
                save_tally(file, partial, mark, tally)
                saved = time.monotonic()
            if progress is not None:
                progress(tally.rows, total)
        file.flush()
        os.fsync(file.fileno())
    if tally.rows != total:
        raise DataError(f"{tally.rows:,} rows were predicted, {total:,} were expected.", remedy="Run again.")
    if options.sample is None:
        partial.replace(output)
    else:  # what was predicted stays as it is until the output is there: another sample may be given with `resume`
        order_as_sample(partial, options.sample, output)
        partial.unlink()
    journal_path(partial).unlink(missing_ok=True)
    return {**_summary(output, tally), "alarms": _alarms(loaded.directory)}


def check_prediction(options: PredictionOptions) -> list[ImpressionSource]:
    """Checks what needs no model, before one is trained or many rows are predicted, and returns the opened input.

    Raises:
        DataError: There is no input, an id of the given column occurs twice, or the sample has another number of rows.
        ConfigError: The output exists, or its directory does not.
    """
    output = options.output
    if output.exists() and not options.overwrite:
        raise ConfigError(f"The file `{output}` exists.", remedy="Pass --overwrite, or another --output.")
    if not output.parent.is_dir():
        raise ConfigError(f"The directory `{output.parent}` does not exist.", remedy="Make it, or correct --output.")
    sources = open_sources(options.input, split=None, file_format=None)
    if not sources:
        raise DataError("No input.", remedy="Name files with --input.")
    if options.id_column is not None:
        check_columns(sources, [options.id_column])
        check_unique_ids(sources, options.id_column)
    if options.sample is not None:
        check_sample(options.sample, sum(source.rows for source in sources))
    return sources


def _id_column(options: PredictionOptions, encoder: FieldEncoder, sources: list[ImpressionSource]) -> str | None:
    if options.id_column is not None:
        return options.id_column
    name = encoder.fields.id
    if name is not None and all(name in source.columns for source in sources):
        return name
    if options.sample is not None:
        raise DataError("There is no column of ids to match with the sample.", file=sources[0].path, column=name)
    return None


def _batches(
    sources: list[ImpressionSource], encoder: FieldEncoder, id_column: str | None, done: int
) -> Iterator[tuple[ImpressionSource, pa.RecordBatch, int, int]]:
    """Batches from row `done` on, and the number of the first row of each among all rows and in its file."""
    columns = list(dict.fromkeys([*encoder.fields.columns, *([id_column] if id_column else [])]))
    before = 0
    for source in sources:
        position = max(before, done)
        if position < before + source.rows:
            for batch in source.batches(columns, position - before):
                yield source, batch, position, position - before
                position += batch.num_rows
        before += source.rows


def _checked(p: npt.NDArray[np.float64], path: str, first: int) -> npt.NDArray[np.float64]:
    wrong = np.flatnonzero(~np.isfinite(p) | (p < 0.0) | (p > 1.0))
    if len(wrong):
        raise DataError(
            f"The prediction is {p[wrong[0]]}.",
            file=path,
            row=first + int(wrong[0]) + 1,
            remedy="Check the numbers of that row.",
        )
    return p


def _count_unknown(encoder: FieldEncoder, columns: dict[str, Any], tally: PredictionTally) -> None:
    for part in encoder.fields.fields:
        if part.kind in ("category", "ids"):
            values = columns[part.name].values
            unknown, known = tally.unknown.setdefault(part.name, 0), tally.values.setdefault(part.name, 0)
            tally.unknown[part.name] = unknown + int(np.count_nonzero(values == OOV_INDEX))
            tally.values[part.name] = known + len(values)


def _write(file: Any, ids: pa.Array, p: npt.NDArray[np.float64], path: str, first: int) -> None:
    if ids.null_count:
        row = first + pc.index(pc.is_null(ids), True).as_py() + 1
        raise DataError("An id is missing.", file=path, row=row, remedy="Every row needs one.")
    table = pd.DataFrame({"id": pc.cast(ids, pa.string()).to_pandas(), "p": np.round(p, _DIGITS)})
    file.write(table.to_csv(header=False, index=False, lineterminator="\n").encode())


def _numbers(first: int, rows: int) -> pa.Array:
    return pa.array(np.arange(first, first + rows))


def _beginning(partial: Path, tally: PredictionTally | None, left: bool, total: int) -> str:
    if tally is not None:
        return f"Goes on at row {tally.rows + 1:,} of {total:,}."
    if not left:
        return "There is no interrupted prediction: it begins at row 1."
    if journal_path(partial).is_file():
        return f"What an interrupted call left in `{partial}` is replaced; --resume would have gone on."
    return f"`{partial}` was interrupted before anything of it was saved: it begins at row 1."


def _alarms(run: RunDirectory) -> list[str]:
    document = run.read_json(run.evaluation_document) if run.evaluation_document.is_file() else {}
    return [alarm["message"] for alarm in document.get("alarms", [])]


def _summary(output: Path, tally: PredictionTally) -> dict[str, Any]:
    rows = max(tally.rows, 1)
    mean = tally.total / rows
    with output.open(encoding="utf-8") as file:
        first = [line.rstrip("\n") for _, line in zip(range(11), file, strict=False)]
    return {
        "output": str(output),
        "rows": tally.rows,
        "mean": mean,
        "min": tally.low,
        "max": tally.high,
        "std": max(tally.squares / rows - mean * mean, 0.0) ** 0.5,
        "unknown": {name: count / max(tally.values[name], 1) for name, count in tally.unknown.items()},
        "first": first,
    }
