"""Diginetica: item views of CIKM Cup 2016, track 2."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

DIGINETICA = PublicDataset(
    name="diginetica",
    title="Item views of CIKM Cup 2016, by session",
    terms="CIKM Cup 2016 terms, Diginetica",
    where="https://competitions.codalab.org/competitions/11161 (archive dataset-train-diginetica.zip)",
    citation="CIKM Cup 2016 Track 2: Personalized E-Commerce Search Challenge, Diginetica",
    file_sets=(
        FileSet(
            files=(
                RawFile(
                    "train-item-views.csv",
                    {
                        "sessionId": "BIGINT",
                        "userId": "BIGINT",
                        "itemId": "BIGINT",
                        "timeframe": "BIGINT",
                        "eventdate": "DATE",
                    },
                    delimiter=";",
                    nulls=("", "NA"),
                ),
            ),
            # A session may run past midnight: its first date and the milliseconds since its beginning give the time.
            query=(
                "SELECT sessionId AS session_id, itemId AS item_id, epoch_ms(CAST(min(eventdate) OVER "
                "(PARTITION BY sessionId) AS TIMESTAMP)) + timeframe AS timestamp, userId AS user_id "
                "FROM {events} AS events"
            ),
            required=("sessionId", "itemId", "timeframe", "eventdate"),
        ),
    ),
    keys=("session_id", "item_id", "timestamp"),
    order=("session_id", "timestamp", "item_id"),
    recipe=ConversionRecipe(
        split="session_time",
        days=7,
        session_col="session_id",
        drop_consecutive_duplicates=True,
        min_item_count=5,
    ),
    recipe_note="i,i,j -> i,j; length 2 and support 5 to a fixpoint; test = sessions that start in the last 7 days",
)
