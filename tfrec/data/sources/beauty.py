"""Amazon Beauty, 5-core, one line of items per user."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import NO_DELIMITER, RawFile

BEAUTY = PublicDataset(
    name="beauty",
    title="Amazon Beauty 5-core, order of items per user (no times)",
    terms="Amazon review data 2014: research",
    where="Distributed with S3-Rec, https://github.com/RUCAIBox/CIKM2020-S3Rec (data/Beauty.txt)",
    citation=(
        "McAuley et al., Image-based Recommendations on Styles and Substitutes, SIGIR 2015; Zhou et al., S3-Rec, CIKM "
        "2020"
    ),
    file_sets=(
        FileSet(
            files=(RawFile("Beauty.txt", {"line": "VARCHAR"}, delimiter=NO_DELIMITER, header=False),),
            # A line is a user and then the items in order; the position in the line stands for the time.
            query=(
                "SELECT CAST(words[1] AS BIGINT) AS user_id, CAST(unnest(words[2:]) AS BIGINT) AS item_id, "
                "generate_subscripts(words[2:], 1) - 1 AS timestamp "
                "FROM (SELECT regexp_split_to_array(trim(line), '\\s+') AS words FROM {events} AS events)"
            ),
        ),
    ),
    keys=("user_id", "item_id", "timestamp"),
    has_times=False,
    item_sets=(
        FileSet(
            files=(RawFile("Beauty_item2attributes.json", {"line": "VARCHAR"}, delimiter=NO_DELIMITER, header=False),),
            # One JSON object: item -> list of attributes (words of category and brand, by number).
            query=(
                "SELECT CAST(key AS BIGINT) AS item_id, value AS attributes FROM (SELECT unnest(map_entries(CAST(CAST("
                "string_agg(line, '') AS JSON) AS MAP(VARCHAR, BIGINT[]))), recursive := true) FROM {events} AS lines)"
            ),
        ),
    ),
    recipe=ConversionRecipe(
        split="leave_one_out",
        user_col="user_id",
        min_seq_len=5,
        unknown_items="keep",
        item_features=("attributes",),
    ),
    recipe_note="the last item of a user is test, the one before valid; all items are candidates",
)
