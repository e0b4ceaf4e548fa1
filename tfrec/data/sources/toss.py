"""Toss: advertisement impressions and clicks; passed through with types."""

from __future__ import annotations

from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

_CATEGORIES = ("gender", "age_group", "inventory_id", "day_of_week", "hour")
_NUMBERS = tuple(
    f"{group}_{number}"
    for group, count in (("l_feat", 27), ("feat_e", 10), ("feat_d", 6), ("feat_c", 8), ("feat_b", 6), ("feat_a", 18))
    for number in range(1, count + 1)
)
# The categories are written as `7` or `7.0`.
_TYPED = ", ".join(f"CAST(CAST({name} AS DOUBLE) AS SMALLINT) AS {name}" for name in _CATEGORIES)
_SAMPLE_COLUMNS = {
    **dict.fromkeys(_CATEGORIES, "VARCHAR"),
    **dict.fromkeys(_NUMBERS, "DOUBLE"),
    "seq_list": "VARCHAR",
    "clicked": "TINYINT",
}

TOSS = PublicDataset(
    name="toss",
    title="Toss advertisement impressions with clicks (click-through rate, no sequences to split)",
    terms="competition data, not to be passed on",
    where="Dacon, Toss NEXT ML Challenge (train.parquet); the samples are shared by participants",
    citation="Toss NEXT ML Challenge, Dacon 2025",
    file_sets=(
        FileSet(
            files=(RawFile("train.parquet", {}, delimiter=None),),
            query=(
                f"SELECT {_TYPED}, * EXCLUDE ({', '.join(_CATEGORIES)}, seq, clicked), "
                "CAST(string_split(seq, ',') AS INTEGER[]) AS seq, CAST(clicked AS TINYINT) AS clicked "
                "FROM {events} AS events"
            ),
            required=("clicked",),
        ),
        FileSet(
            files=tuple(RawFile(name, _SAMPLE_COLUMNS) for name in ("sample_a.csv", "sample_b.csv")),
            query=(
                f"SELECT {_TYPED}, {', '.join(_NUMBERS)}, CAST(string_split(seq_list, '^') AS INTEGER[]) AS seq, "
                "clicked FROM {events} AS events"
            ),
            required=("clicked",),
        ),
    ),
    keys=("clicked",),
    has_times=False,
    recipe_note="none: rows are impressions",
)
