"""MovieLens 100K ratings as RecBole distributes them."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

MOVIELENS_100K = PublicDataset(
    name="ml-100k",
    title="MovieLens, 100,000 ratings of 943 users",
    terms="GroupLens terms: research, no redistribution",
    where="https://grouplens.org/datasets/movielens/100k/, as RecBole atomic files (https://recbole.io/dataset_list.html)",
    file_sets=(
        FileSet(
            files=(
                RawFile(
                    "ml-100k.inter",
                    {
                        "user_id:token": "BIGINT",
                        "item_id:token": "BIGINT",
                        "rating:float": "DOUBLE",
                        "timestamp:float": "DOUBLE",
                    },
                    delimiter="\t",
                ),
            ),
            query=(
                'SELECT "user_id:token" AS user_id, "item_id:token" AS item_id, '
                'CAST(round("timestamp:float" * 1000) AS BIGINT) AS timestamp, "rating:float" AS rating '
                "FROM {events} AS events"
            ),
            required=("user_id:token", "item_id:token", "timestamp:float"),
        ),
    ),
    keys=("user_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(split="leave_one_out", user_col="user_id"),
    recipe_note="every rating is an event; the last one of a user is test, the one before valid",
)
