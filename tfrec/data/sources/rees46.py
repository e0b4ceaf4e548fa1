"""Rees46: behaviour in a multi-category store, October and November 2019."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

_COLUMNS = {
    "event_time": "TIMESTAMP",
    "event_type": "VARCHAR",
    "product_id": "BIGINT",
    "category_id": "BIGINT",
    "category_code": "VARCHAR",
    "brand": "VARCHAR",
    "price": "DOUBLE",
    "user_id": "BIGINT",
    "user_session": "VARCHAR",
}

REES46 = PublicDataset(
    name="rees46",
    title="Views in a multi-category store, October and November 2019, by user",
    terms="free with reference to REES46 Marketing Platform",
    where="https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store",
    citation="eCommerce behavior data from multi category store, REES46 Marketing Platform (rees46.com), 2019",
    file_sets=(
        FileSet(
            files=(RawFile("2019-Oct.csv", _COLUMNS), RawFile("2019-Nov.csv", _COLUMNS)),
            query=(
                "SELECT user_id, product_id AS item_id, epoch_ms(event_time) AS timestamp, category_id, category_code, "
                "brand, price, user_session AS source_session FROM {events} AS events WHERE event_type = 'view'"
            ),
            keep="event_type = 'view'",
            required=("user_id", "product_id", "event_time"),
        ),
    ),
    keys=("user_id", "item_id", "timestamp"),
    order=("user_id", "timestamp", "item_id"),
    recipe=ConversionRecipe(
        split="session_time",
        days=1,
        user_col="user_id",
        session_gap=3600,
        drop_consecutive_duplicates=True,
        min_item_count=5,
        split_time=1_575_158_400_000,
    ),
    recipe_note="1 h gap; i,i,j -> i,j; length 2 and support 5 to a fixpoint; test = sessions of 30 November 2019",
)
