"""Yoochoose: clicks and test clicks of RecSys Challenge 2015, preprocessed as the other session data sets."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile
from tfrec.data.sources.rsc15 import CITATION, CLICK_COLUMNS, CLICK_QUERY, TERMS, WHERE

YOOCHOOSE = PublicDataset(
    name="yoochoose",
    title="RecSys Challenge 2015, clicks and test clicks together",
    terms=TERMS,
    where=WHERE,
    citation=CITATION,
    file_sets=(
        FileSet(
            files=(
                RawFile("yoochoose-clicks.dat", CLICK_COLUMNS, header=False),
                RawFile("yoochoose-test.dat", CLICK_COLUMNS, header=False),
            ),
            query=CLICK_QUERY,
            required=("session", "time", "item"),
            script_query=CLICK_QUERY.replace("epoch_ms(time)", "epoch_ms(time) // 1000 * 1000"),
        ),
    ),
    keys=("session_id", "item_id", "timestamp"),
    order=("session_id", "timestamp", "item_id"),
    recipe=ConversionRecipe(
        split="session_time",
        days=1,
        session_col="session_id",
        drop_consecutive_duplicates=True,
        min_item_count=5,
    ),
    recipe_note="i,i,j -> i,j; length 2 and support 5 to a fixpoint; test = sessions that start in the last day",
    script_note="times are cut to whole seconds",
)
