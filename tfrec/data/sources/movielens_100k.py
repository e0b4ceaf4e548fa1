"""MovieLens 100K in the three forms in which it goes around: GroupLens's own, RecBole's, and `::` separated."""

from __future__ import annotations

from tfrec.data.sources.archive import Archive
from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.movielens_files import CITATION, DOUBLE_COLON_EVENTS, DOUBLE_COLON_ITEMS, TERMS, movie_query
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sources.raw_file import RawFile

# Columns of u.item after the first five: whether the movie has the genre. The first of them is `unknown`.
_GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_FLAGS = ", ".join(
    f"CASE WHEN g{number} = 1 THEN '{genre.replace(chr(39), chr(39) * 2)}' END"
    for number, genre in enumerate(_GENRES, start=1)
)
_ITEM_COLUMNS = {
    "id": "BIGINT",
    "title": "VARCHAR",
    "released": "VARCHAR",
    "video": "VARCHAR",
    "url": "VARCHAR",
    **{f"g{number}": "TINYINT" for number in range(len(_GENRES) + 1)},
}

MOVIELENS_100K = PublicDataset(
    name="ml-100k",
    title="MovieLens, 100,000 ratings of 943 users",
    terms=TERMS,
    where=(
        "https://grouplens.org/datasets/movielens/100k/, or as RecBole atomic files "
        "(https://recbole.io/dataset_list.html)"
    ),
    citation=CITATION,
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
        FileSet(
            files=(
                RawFile(
                    "u.data",
                    {"user": "BIGINT", "item": "BIGINT", "rating": "DOUBLE", "time": "BIGINT"},
                    delimiter="\t",
                    header=False,
                ),
            ),
            query='SELECT "user" AS user_id, item AS item_id, time * 1000 AS timestamp, rating FROM {events} AS events',
            required=("user", "item", "time"),
        ),
        DOUBLE_COLON_EVENTS,
    ),
    item_sets=(
        FileSet(
            files=(
                RawFile(
                    "ml-100k.item",
                    {
                        "item_id:token": "BIGINT",
                        "movie_title:token_seq": "VARCHAR",
                        "release_year:token": "VARCHAR",
                        "class:token_seq": "VARCHAR",
                    },
                    delimiter="\t",
                ),
            ),
            query=movie_query(
                '"item_id:token"',
                '"movie_title:token_seq"',
                'TRY_CAST("release_year:token" AS INTEGER)',
                "string_split(\"class:token_seq\", ' ')",
            ),
            required=("item_id:token",),
        ),
        FileSet(
            files=(RawFile("u.item", _ITEM_COLUMNS, delimiter="|", header=False, encoding="latin-1"),),
            query=movie_query("id", "title", "NULL", f"[{_FLAGS}]"),
            required=("id",),
        ),
        DOUBLE_COLON_ITEMS,
    ),
    archive=Archive(
        name="ml-100k.zip",
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        md5="0e33842e24a9c977be4e0107933c0723",
    ),
    most_rows=100_000,
    keys=("user_id", "item_id", "timestamp"),
    recipe=ConversionRecipe(
        split="leave_one_out",
        user_col="user_id",
        min_seq_len=5,
        unknown_items="keep",
        item_features=("genres", "year:number"),
    ),
    recipe_note=(
        "every rating is an event; the last one of a user is test, the one before valid; all items are candidates "
        "(add --where 'rating>=4' for positive ratings only)"
    ),
)
