"""Tianchi: behaviour in a mobile shop; passed through with types."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

_COLUMNS = {
    "user_id": "BIGINT",
    "item_id": "BIGINT",
    "behavior_type": "TINYINT",
    "user_geohash": "VARCHAR",
    "item_category": "BIGINT",
    "time": "TIMESTAMP",
}
# Hours without minutes, taken as UTC like every other time here.
_QUERY = (
    "SELECT user_id, item_id, epoch_ms(time) AS timestamp, behavior_type, item_category, "
    "user_geohash FROM {events} AS events"
)
_FILES = ("tianchi_mobile_recommend_train_user.csv", "sample_user_behavior.csv")
_REQUIRED = ("user_id", "item_id", "behavior_type", "time")

TIANCHI = PublicDataset(
    name="tianchi",
    title="Behaviour in a mobile shop: 1 view, 2 collect, 3 cart, 4 buy; by user, in hours",
    terms="Tianchi dataset 46 terms, Alibaba",
    where="https://tianchi.aliyun.com/dataset/46",
    citation="User Behavior Data for Mobile Recommendation, Alibaba Tianchi, data set 46",
    file_sets=tuple(
        FileSet(files=(RawFile(name, _COLUMNS, time_format="%Y-%m-%d %H"),), query=_QUERY, required=_REQUIRED)
        for name in _FILES
    ),
    # The category stands beside every event; where an item has several, the smallest is taken.
    item_sets=tuple(
        FileSet(
            files=(RawFile(name, _COLUMNS, time_format="%Y-%m-%d %H"),),
            query="SELECT item_id, min(item_category) AS item_category FROM {events} AS events GROUP BY item_id",
            required=("item_id",),
        )
        for name in _FILES
    ),
    keys=("user_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(
        split="random_user",
        user_col="user_id",
        min_seq_len=20,
        unknown_items="keep",
        item_features=("item_category",),
        event_features=("behavior_type",),
    ),
    recipe_note="users with at least 20 events; a tenth of them are test, a tenth valid; all items have an index",
)
