"""A slice of 100,000 clicks of RSC15, split; it is small enough for tests."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile
from tfrec.data.sources.rsc15 import CITATION, TERMS

_COLUMNS = {"SessionId": "BIGINT", "ItemId": "BIGINT", "Time": "DOUBLE"}

YOOCHOOSE_100K = PublicDataset(
    name="yoochoose-100k",
    title="100,000 clicks of RSC15, filtered and split",
    terms=TERMS,
    where="Distributed with session-rec, https://github.com/rn5l/session-rec",
    citation=CITATION,
    file_sets=(
        FileSet(
            files=(
                RawFile("yoochoose-clicks-100k_train_full.txt", _COLUMNS, delimiter="\t"),
                RawFile("yoochoose-clicks-100k_test.txt", _COLUMNS, delimiter="\t"),
            ),
            query=(
                "SELECT SessionId AS session_id, ItemId AS item_id, CAST(round(Time * 1000) AS BIGINT) AS timestamp "
                "FROM {events} AS events"
            ),
            required=("SessionId", "ItemId", "Time"),
        ),
    ),
    keys=("session_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(split="session_time_last", days=1, session_col="session_id", filter_mode="single_pass"),
    recipe_note="filtered already; test = sessions that end in the last day, which is how it was cut",
)
