"""What the MovieLens data sets have in common: `::` separated files, and movies with the year in the title."""

from __future__ import annotations

from tfrec.data.sources.public_dataset import FileSet
from tfrec.data.sources.raw_file import RawFile

TERMS = "GroupLens terms: research, no redistribution, no commercial use without permission"
CITATION = "Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015"
_YEAR = r"\((\d{4})\)"


def movie_query(identity: str, title: str, year: str, genres: str) -> str:
    """Returns SQL for `item_id`, `title` without its year, `year` and `genres`.

    Args:
        identity: SQL of the id.
        title: SQL of the title, perhaps with the year in brackets.
        year: SQL of the year; where it is null, the one in the title counts.
        genres: SQL of the list of genres; `unknown` and null are left out.
    """
    in_title = f"TRY_CAST(regexp_extract({title}, '{_YEAR}', 1) AS INTEGER)"
    return (
        rf"SELECT {identity} AS item_id, trim(regexp_replace({title}, '\s*{_YEAR}.*$', '')) AS title, "
        f"coalesce({year}, {in_title}) AS year, "
        f"list_filter(coalesce({genres}, []), lambda g: g IS NOT NULL AND g NOT IN ('unknown', '')) AS genres "
        "FROM {events} AS events"
    )


DOUBLE_COLON_EVENTS = FileSet(
    files=(
        RawFile(
            "ratings.dat",
            {"user": "BIGINT", "item": "BIGINT", "rating": "DOUBLE", "time": "BIGINT"},
            delimiter="::",
            header=False,
            encoding="latin-1",
        ),
    ),
    query='SELECT "user" AS user_id, item AS item_id, time * 1000 AS timestamp, rating FROM {events} AS events',
    required=("user", "item", "time"),
)
DOUBLE_COLON_ITEMS = FileSet(
    files=(
        RawFile(
            "movies.dat",
            {"id": "BIGINT", "title": "VARCHAR", "genres": "VARCHAR"},
            delimiter="::",
            header=False,
            encoding="latin-1",
        ),
    ),
    query=movie_query("id", "title", "NULL", "string_split(genres, '|')"),
    required=("id",),
)
