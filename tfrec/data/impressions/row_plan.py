"""Which split every row belongs to, decided before any feature is read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfrec.data.impressions.column_values import as_times, id_texts
from tfrec.data.impressions.impression_options import ImpressionOptions
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns
from tfrec.errors import DataError

SPLITS = ("train", "valid", "test")
UNUSED = np.uint8(255)

Folds = npt.NDArray[np.uint8]


def assign_rows(options: ImpressionOptions, sources: list[ImpressionSource]) -> Folds:
    """Returns the split of every row of all files, one byte per row: 0 train, 1 valid, 2 test, 255 not used.

    A sample is drawn without replacement from all rows, evenly from the whole of the files; stratified, the values of
    a column keep their shares.

    Args:
        options: Split rule, fractions, sample and seed.
        sources: The files in order.

    Raises:
        DataError: A column is missing, or the training split is empty.
    """
    rows = sum(source.rows for source in sources)
    rng = np.random.default_rng([options.seed, 0x5EED])
    used = np.ones(rows, bool)
    if options.sample is not None and options.sample < rows:
        used = _sample(options, sources, rows, rng)
    folds = np.zeros(rows, np.uint8)
    chosen = np.flatnonzero(used)
    if options.split == "given":
        folds = np.repeat([SPLITS.index(str(s.file.split)) for s in sources], [s.rows for s in sources]).astype(
            np.uint8
        )
    elif options.split == "day":
        folds = _by_day(options, sources)
    elif options.split == "time":
        folds = _by_time(options, sources, used)
    else:
        valid = round(options.valid_fraction * len(chosen))
        test = round(options.test_fraction * len(chosen))
        order = chosen if options.split == "tail" else rng.permutation(chosen)
        folds[order[len(order) - test :]] = 2
        folds[order[len(order) - test - valid : len(order) - test]] = 1
    folds[~used] = UNUSED
    if not np.any(folds == 0):
        raise DataError(
            "No row is left for training.",
            file=sources[0].path,
            remedy="Lower --valid-fraction and --test-fraction, or the numbers of days.",
        )
    return folds


def _sample(
    options: ImpressionOptions, sources: list[ImpressionSource], rows: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    size = int(options.sample or rows)
    used = np.zeros(rows, bool)
    if options.stratify is None:
        used[rng.choice(rows, size, replace=False)] = True
        return used
    codes, values = _codes(sources, options.stratify)
    # Largest remainders: every value gets its share, rounded so that the sum is the size of the sample.
    share = np.bincount(codes, minlength=len(values)) * (size / rows)
    take = np.floor(share).astype(np.int64)
    take[np.argsort(take - share, kind="stable")[: size - int(take.sum())]] += 1
    for code, count in enumerate(take):
        members = np.flatnonzero(codes == code)
        used[rng.choice(members, min(int(count), len(members)), replace=False)] = True
    return used


def _by_day(options: ImpressionOptions, sources: list[ImpressionSource]) -> Folds:
    name = str(options.day_column)
    codes, days = _codes(sources, name)
    if None in days:
        row = int(np.argmax(codes == days.index(None)))
        for source in sources:
            if row < source.rows:
                remedy = "Drop rows without a day, or take another --split."
                raise DataError("A day is missing.", file=source.path, column=name, row=row + 1, remedy=remedy)
            row -= source.rows
    if len(days) <= options.valid_days + options.test_days:
        raise DataError(
            f"There are {len(days)} days; {options.valid_days} are to validate and {options.test_days} to test.",
            file=sources[0].path,
            column=name,
            remedy="Lower --valid-days or --test-days.",
        )
    fold_of_day = np.zeros(len(days), np.uint8)
    fold_of_day[len(days) - options.test_days :] = 2
    fold_of_day[len(days) - options.test_days - options.valid_days : len(days) - options.test_days] = 1
    return fold_of_day[codes]


def _by_time(options: ImpressionOptions, sources: list[ImpressionSource], used: npt.NDArray[np.bool_]) -> Folds:
    """The last rows in time, of those that are used; rows of the same moment stay together, in the later split."""
    name = str(options.time_column)
    check_columns(sources, [name])
    parts = []
    for source in sources:
        before = 0
        for batch in source.batches([name]):
            numbers = np.arange(before, before + batch.num_rows)
            parts.append(as_times(batch.column(0), name, source.path, numbers))
            before += batch.num_rows
    times = np.concatenate(parts)
    ordered = np.sort(times[used])
    test = round(options.test_fraction * len(ordered))
    valid = round(options.valid_fraction * len(ordered))
    folds = np.zeros(len(times), np.uint8)
    for fold, place in ((1, len(ordered) - test - valid), (2, len(ordered) - test)):
        if place < len(ordered):
            folds[times >= ordered[place]] = fold
    return folds


def _codes(sources: list[ImpressionSource], name: str) -> tuple[npt.NDArray[np.int64], list[str | None]]:
    """The value of a column in every row, as numbers in order of first appearance, and the values."""
    check_columns(sources, [name])
    known: dict[str | None, int] = {}
    parts = []
    for source in sources:
        for batch in source.batches([name]):
            column = batch.column(0)
            if pa.types.is_dictionary(column.type):  # whose values may be in any order
                column = column.dictionary_decode()
            encoded = column.dictionary_encode()
            texts = [*id_texts(encoded.dictionary).to_pylist(), None]
            positions = encoded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
            for position in np.unique(positions):  # a dictionary is in the order of first appearance
                known.setdefault(texts[position], len(known))
            table = np.array([known.get(text, 0) for text in texts], np.int32)
            parts.append(table[positions])
    joined = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    return joined.astype(np.int64), list(known)
