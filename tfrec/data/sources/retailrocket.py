"""RetailRocket: views of a shop's visitors."""

from __future__ import annotations

from dataclasses import replace

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile
from tfrec.data.sources.session_parts import numbered_parts

_VIEWS = "event = 'view'"
_TIDY = "SELECT visitorid AS user_id, itemid AS item_id, timestamp"
_RECIPE = ConversionRecipe(
    split="session_time",
    days=7,
    user_col="user_id",
    session_gap=3600,
    drop_consecutive_duplicates=True,
    min_item_count=5,
    split_time=1_442_545_200_000,
)

RETAILROCKET = PublicDataset(
    name="retailrocket",
    title="Views in a shop, May to September 2015, by visitor",
    terms="CC BY-NC-SA 4.0, Retail Rocket",
    where="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset",
    citation="Zykov, Noskov, Anokhin, Retailrocket recommender system dataset, 2022, doi 10.34740/kaggle/dsv/4471234",
    file_sets=(
        FileSet(
            files=(
                RawFile(
                    "events.csv",
                    {"timestamp": "BIGINT", "visitorid": "BIGINT", "event": "VARCHAR", "itemid": "BIGINT"},
                ),
            ),
            query=f"{_TIDY} FROM {{events}} AS events WHERE {_VIEWS}",
            keep=_VIEWS,
            required=("timestamp", "visitorid", "itemid"),
            script_query=(
                f"{_TIDY}, part AS session_id FROM ({numbered_parts('{events} AS events', 'visitorid', 'timestamp')}) "
                f"WHERE {_VIEWS}"
            ),
        ),
    ),
    keys=("user_id", "item_id", "timestamp"),
    order=("user_id", "timestamp", "item_id"),
    recipe=_RECIPE,
    recipe_note="1 h gap; i,i,j -> i,j; length 2 and support 5 to a fixpoint; test = sessions that start in 7 days",
    script_recipe=replace(_RECIPE, session_col="session_id", session_gap=None),
    script_note="gaps are looked for between events of any kind, not only views",
)
