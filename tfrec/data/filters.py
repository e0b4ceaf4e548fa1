"""Sessions by inactivity, collapsed repetitions, and minimum support and length."""

from __future__ import annotations

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError


def make_sequences(work: WorkDatabase, options: ConversionOptions, loaded: LoadedEvents) -> int:
    """Makes the view `sequenced` (pos, q, i, t), where `q` is the sequence of the event.

    A sequence is a session, a user without sessions, or what `session_gap` makes of a user. With both columns, sessions
    belong to their user: equal session ids of two users are two sequences. Where `q` is not itself the id, the view
    `keys` (q, u, s; columns without a role are absent) is made here, otherwise by `filter_events`.

    Args:
        work: The work database.
        options: `session_gap` and `drop_consecutive_duplicates` are used.
        loaded: What was loaded.

    Returns:
        Number of events dropped as consecutive duplicates. The first event of a run stays.
    """
    letters = [letter for letter in ("u", "s") if letter in loaded.id_types]
    source, own = "events", str(letters[-1])
    if len(letters) == 2:
        pairs = "SELECT DISTINCT u, s FROM events"
        work.run(f"CREATE TABLE pairs AS SELECT row_number() OVER (ORDER BY u, s) AS q, u, s FROM ({pairs})")
        source, own = "(SELECT pos, q, i, t FROM events JOIN pairs USING (u, s))", "q"
        work.run("CREATE VIEW keys AS SELECT q, u, s FROM pairs")
    gap = options.session_gap
    if gap is None and not options.drop_consecutive_duplicates:
        work.run(f"CREATE VIEW sequenced AS SELECT pos, {own} AS q, i, t FROM {source}")
        return 0
    starts = "false"
    if gap is not None:
        limit = round(gap * 1000)
        starts = f"coalesce(ms - lag(ms) OVER w > {limit}, true)"
    repeated = "coalesce(i = lag(i) OVER w, false)" if options.drop_consecutive_duplicates else "false"
    work.run(
        f"CREATE TABLE windowed AS SELECT pos, {own} AS o, i, t, {starts} AS starts, {repeated} AS repeated "
        f"FROM (SELECT *, {loaded.milliseconds} AS ms FROM {source}) WINDOW w AS (PARTITION BY {own} ORDER BY t, pos)"
    )
    kept = "starts OR NOT repeated"
    if gap is None:
        work.run(f"CREATE VIEW sequenced AS SELECT pos, o AS q, i, t FROM windowed WHERE {kept}")
    else:  # a session is known by the position of its first event
        work.run(
            "CREATE TABLE sessions AS SELECT pos, i, t, o, starts, repeated, "
            "last_value(CASE WHEN starts THEN pos END IGNORE NULLS) OVER "
            "(PARTITION BY o ORDER BY t, pos ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS q FROM windowed"
        )
        work.run(f"CREATE VIEW sequenced AS SELECT pos, q, i, t FROM sessions WHERE {kept}")
        work.run("CREATE VIEW keys AS SELECT q, o AS u FROM sessions WHERE starts")
    duplicates: int = work.scalar(f"SELECT count(*) FROM windowed WHERE NOT ({kept})")
    return duplicates


def filter_events(work: WorkDatabase, options: ConversionOptions, loaded: LoadedEvents) -> dict[str, int]:
    """Makes the view `filtered` (pos, q, i, t) without short sequences and rare items, and `keys` if it is not there.

    Args:
        work: The work database, with `sequenced`.
        options: `min_seq_len`, `min_item_count` and `filter_mode` are used.
        loaded: What was loaded.

    Returns:
        Number of events dropped per reason (`rare_items`, `short_sequences`), and of sequences (`sequences`).

    Raises:
        DataError: Nothing is left.
    """
    length, support = options.min_seq_len, options.min_item_count
    events, sequences = work.row("SELECT count(*), count(DISTINCT q) FROM sequenced")
    _keep(work, "q", "sequenced", length)
    if support > 1:
        _keep(work, "i", "sequenced SEMI JOIN kept_q USING (q)", support)
        work.run(
            "CREATE TABLE narrowed AS SELECT * FROM sequenced SEMI JOIN kept_q USING (q) SEMI JOIN kept_i USING (i)"
        )
        size = None
        while True:
            _keep(work, "q", "narrowed SEMI JOIN kept_i USING (i)", length)
            if options.filter_mode == "single_pass":
                break
            _keep(work, "i", "narrowed SEMI JOIN kept_q USING (q)", support)
            before, size = size, work.row("SELECT (SELECT count(*) FROM kept_q), (SELECT count(*) FROM kept_i)")
            if size == before:
                break
        work.run("CREATE VIEW filtered AS SELECT * FROM narrowed SEMI JOIN kept_q USING (q) SEMI JOIN kept_i USING (i)")
        rare = work.scalar("SELECT count(*) FROM sequenced ANTI JOIN kept_i USING (i)")
    else:
        rare = 0
        everything = work.scalar("SELECT count(*) FROM kept_q") == sequences
        own = "" if everything else "SEMI JOIN kept_q USING (q)"
        work.run(f"CREATE VIEW filtered AS SELECT * FROM sequenced {own}")
    if loaded.roles.sequence is not None and options.session_gap is None:
        work.run(f"CREATE VIEW keys AS SELECT q, q AS {loaded.roles.sequence} FROM kept_q")
    left, left_sequences = work.row("SELECT (SELECT count(*) FROM filtered), (SELECT count(*) FROM kept_q)")
    if not left:
        longest = work.scalar("SELECT max(n) FROM (SELECT count(*) AS n FROM sequenced GROUP BY q)")
        raise DataError(
            f"No sequence is left of {sequences:,}: the longest has {longest:,} events; needed are at least "
            f"{length} events per sequence (`--min-seq-len`) and {support} per item (`--min-item-count`).",
            remedy="Check that the user or session column is the right one, or lower the limits.",
        )
    return {"rare_items": rare, "short_sequences": events - left - rare, "sequences": sequences - left_sequences}


def _keep(work: WorkDatabase, column: str, relation: str, least: int) -> None:
    work.run(
        f"CREATE OR REPLACE TABLE kept_{column} AS SELECT {column} FROM {relation} "
        f"GROUP BY {column} HAVING count(*) >= {least}"
    )
