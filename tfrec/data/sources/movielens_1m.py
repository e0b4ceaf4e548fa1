"""MovieLens 1M."""

from __future__ import annotations

from tfrec.data.sources.archive import Archive
from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.movielens_files import CITATION, DOUBLE_COLON_EVENTS, DOUBLE_COLON_ITEMS, TERMS
from tfrec.data.sources.public_dataset import PublicDataset

MOVIELENS_1M = PublicDataset(
    name="ml-1m",
    title="MovieLens, 1,000,209 ratings of 6,040 users",
    terms=TERMS,
    where="https://grouplens.org/datasets/movielens/1m/",
    citation=CITATION,
    file_sets=(DOUBLE_COLON_EVENTS,),
    item_sets=(DOUBLE_COLON_ITEMS,),
    archive=Archive(
        name="ml-1m.zip",
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        md5="c4d9eecfca2ab87c1945afe126590906",
    ),
    most_rows=1_000_209,
    keys=("user_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(
        split="leave_one_out",
        user_col="user_id",
        min_seq_len=5,
        unknown_items="keep",
        item_features=("genres", "year:number"),
    ),
    recipe_note="the last rating of a user is test, the one before valid; all items are candidates",
)
