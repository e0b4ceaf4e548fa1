"""Vocabularies as tables of the work database: what was trained on, then what only gets an index."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.sql import literal
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError


def build_catalogue(
    work: WorkDatabase, loaded: LoadedEvents, options: ConversionOptions, earlier: Vocabulary | None = None
) -> None:
    """Makes the table or view `catalogue_i` (code, id, count, index): what an item index may stand for.

    Training items come first, by descending count, ties by the id as text, bytes descending. After them, in the same
    order of ids and with count 0, come items of valid and test (`unknown_items="keep"`) and of the item files
    (`cold_items="keep"`). With an earlier vocabulary, all of its items come before that, at the index they had.

    Args:
        work: The work database, with `vocabulary_i`, `folded` and, with item files, `item_rows`.
        loaded: What was loaded.
        options: `unknown_items`, `items` and `cold_items` are used.
        earlier: The vocabulary to continue.

    Raises:
        DataError: The earlier vocabulary has ids of another type.
    """
    string = loaded.id_types["i"] == "string"
    extra = []
    if options.unknown_items == "keep":
        code = "(SELECT DISTINCT i AS code FROM folded WHERE fold > 0)"
        extra.append(f"SELECT id FROM {code} JOIN ids_i USING (code)" if string else f"SELECT code AS id FROM {code}")
    if options.items and options.cold_items == "keep":
        extra.append("SELECT id FROM item_rows")
    if earlier is not None:
        if earlier.id_type != loaded.id_types["i"]:
            raise DataError(
                f"Its item ids are {earlier.id_type}, those of the log {loaded.id_types['i']}.",
                file=options.vocabulary,
                remedy="Write the ids of the log in the type they had before.",
            )
        with tempfile.TemporaryDirectory(prefix="tfrec-") as directory:
            file = Path(directory) / "earlier.parquet"
            file.write_bytes(earlier.to_parquet())
            work.run(f"CREATE TABLE earlier_i AS SELECT id, index FROM read_parquet({literal(str(file))})")
        extra.append("SELECT id FROM earlier_i")
    if not extra:
        work.run("CREATE VIEW catalogue_i AS SELECT * FROM vocabulary_i")
        return
    unseen = f"SELECT DISTINCT id FROM ({' UNION ALL '.join(extra)}) ANTI JOIN vocabulary_i USING (id)"
    coded = f"SELECT id AS code, id FROM ({unseen})"
    if string:
        coded = f"SELECT ids_i.code AS code, id FROM ({unseen}) LEFT JOIN ids_i USING (id)"
    every = f"SELECT code, id, count FROM vocabulary_i UNION ALL SELECT code, id, 0 AS count FROM ({coded})"
    place, joined = "", ""
    if earlier is not None:
        place, joined = "earlier_i.index NULLS LAST, ", "LEFT JOIN earlier_i USING (id)"
    work.run(
        f"CREATE TABLE catalogue_i AS SELECT code, id, count, CAST(row_number() OVER (ORDER BY {place}count DESC, "
        f"CAST(id AS VARCHAR) DESC) + {FIRST_INDEX - 1} AS INTEGER) AS index FROM ({every}) {joined}"
    )


def extend_user_vocabulary(work: WorkDatabase, loaded: LoadedEvents) -> None:
    """Gives users of the user files without training events an index after those of training, with count 0.

    Args:
        work: The work database, with `vocabulary_u` and `user_rows`.
        loaded: What was loaded.
    """
    unseen = "SELECT DISTINCT id FROM user_rows ANTI JOIN vocabulary_u USING (id)"
    coded = f"SELECT id AS code, id FROM ({unseen})"
    if loaded.id_types["u"] == "string":
        coded = f"SELECT ids_u.code AS code, id FROM ({unseen}) LEFT JOIN ids_u USING (id)"
    known = work.scalar("SELECT count(*) FROM vocabulary_u")
    place = f"row_number() OVER (ORDER BY CAST(id AS VARCHAR) DESC) + {known + FIRST_INDEX - 1}"
    work.run(
        "CREATE TABLE every_user AS SELECT code, id, count, index FROM vocabulary_u UNION ALL "
        f"SELECT code, id, 0 AS count, CAST({place} AS INTEGER) AS index FROM ({coded})"
    )
    work.run("DROP TABLE vocabulary_u")
    work.run("ALTER TABLE every_user RENAME TO vocabulary_u")
