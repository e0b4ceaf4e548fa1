"""Coveo: product detail views in an anonymous shop."""

from __future__ import annotations

from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile
from tfrec.data.sources.session_parts import numbered_parts

_DETAILS = "product_action = 'detail'"


def _file_set(name: str, item: str) -> FileSet:
    columns = {
        "session_id_hash": "VARCHAR",
        "event_type": "VARCHAR",
        "product_action": "VARCHAR",
        item: "VARCHAR",
        "server_timestamp_epoch_ms": "BIGINT",
    }
    # A later part of a session gets its number appended, so that parts are sessions of their own.
    tidy = (
        "SELECT CASE WHEN part = 1 THEN session_id_hash ELSE session_id_hash || '-' || part END AS session_id, "
        f"{item} AS item_id, server_timestamp_epoch_ms AS timestamp FROM "
    )
    details = f"(SELECT * FROM {{events}} AS events WHERE {_DETAILS})"
    cut = ("session_id_hash", "server_timestamp_epoch_ms")
    return FileSet(
        files=(RawFile(name, columns),),
        query=f"{tidy} ({numbered_parts(details, *cut)})",
        keep=_DETAILS,
        required=("session_id_hash", item, "server_timestamp_epoch_ms"),
        script_query=f"{tidy} ({numbered_parts('{events} AS events', *cut)}) WHERE {_DETAILS}",
    )


COVEO = PublicDataset(
    name="coveo",
    title="Product detail views in an anonymous shop, by session",
    terms="research and education, after accepting Coveo's terms",
    where=(
        "https://github.com/coveooss/SIGIR-ecom-data-challenge (browsing_train.csv) or, as the published GRU4Rec "
        "results, https://github.com/coveooss/shopper-intent-prediction-nature-2020 (release_10_23_2020.csv)"
    ),
    citation=(
        "Tagliabue et al., SIGIR 2021 E-Commerce Workshop Data Challenge, arXiv 2104.09423; Requena et al., Shopper "
        "intent prediction from clickstream e-commerce data with minimal browsing information, Scientific Reports 10, "
        "2020"
    ),
    file_sets=(
        _file_set("browsing_train.csv", "product_sku_hash"),
        _file_set("release_10_23_2020.csv", "product_skus_hash"),
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
    recipe_note="sessions cut at 1 h gaps; i,i,j -> i,j; length 2 and support 5 to a fixpoint; test = last day",
    script_note="gaps are looked for between events of any kind, not only detail views",
)
