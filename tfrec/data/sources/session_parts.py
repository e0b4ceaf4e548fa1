"""SQL that numbers the parts into which pauses cut the events of a key."""

from __future__ import annotations

HOUR_MS = 3_600_000


def numbered_parts(relation: str, key: str, time: str, gap: int = HOUR_MS) -> str:
    """Returns SQL for the rows of a relation with the column `part`.

    Args:
        relation: SQL table expression.
        key: Column of the user or session.
        time: Column of times.
        gap: A pause longer than this, in the unit of `time`, begins a new part; exactly this long does not.

    Returns:
        SQL; `part` is a BIGINT, 1 for the first part of every key.
    """
    window = f"OVER (PARTITION BY {key} ORDER BY {time})"
    begins = f"CAST(coalesce({time} - lag({time}) {window} > {gap}, true) AS INTEGER)"
    return (
        f"SELECT * EXCLUDE (begins), CAST(sum(begins) {window} AS BIGINT) AS part "
        f"FROM (SELECT *, {begins} AS begins FROM {relation})"
    )
