"""RSC15: the clicks of RecSys Challenge 2015, preprocessed as in the first GRU4Rec papers."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

TERMS = "CC BY-NC-ND 4.0, YOOCHOOSE GmbH"
CITATION = "Ben-Shimon et al., RecSys Challenge 2015 and the YOOCHOOSE Dataset, RecSys 2015"
WHERE = "RecSys Challenge 2015, https://recsys.acm.org/recsys15/challenge/ (archive yoochoose-data.7z)."
CLICK_COLUMNS = {"session": "BIGINT", "time": "TIMESTAMP", "item": "BIGINT", "category": "VARCHAR"}
CLICK_QUERY = (
    "SELECT session AS session_id, item AS item_id, epoch_ms(time) AS timestamp, category FROM {events} AS events"
)

RSC15 = PublicDataset(
    name="rsc15",
    title="RecSys Challenge 2015 clicks, legacy preprocessing (repetitions stay, one filter pass)",
    terms=TERMS,
    where=WHERE,
    citation=CITATION,
    file_sets=(
        FileSet(
            files=(RawFile("yoochoose-clicks.dat", CLICK_COLUMNS, header=False),),
            query=CLICK_QUERY,
            required=("session", "time", "item"),
        ),
    ),
    keys=("session_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(
        split="session_time_last",
        days=1,
        session_col="session_id",
        min_item_count=5,
        filter_mode="single_pass",
    ),
    recipe_note="length 1, support 5, length 1, each once; test = sessions that end in the last day",
)
