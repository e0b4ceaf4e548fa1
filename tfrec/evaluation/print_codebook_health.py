"""Use of the codes of semantic ids, as a table on the console."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.tables import make_table


def print_codebook_health(health: dict[str, Any], out: Console) -> None:
    """Prints how the codes of semantic ids are used.

    Args:
        health: What `codebook_health` returns.
        out: Where to.
    """
    columns = ["level", "codes", "used", "as many, if even", "share of the largest"]
    rows = [
        [str(number), level["size"], f"{level['used']:.0%}", f"{level['perplexity']:.1f}", f"{level['largest']:.1%}"]
        for number, level in enumerate(health["levels"], start=1)
    ]
    out.print(make_table(f"Semantic ids of {health['items']:,} items", columns, rows))
    out.print(
        f"{health['collisions']:.1%} of the items share all codes with others, at most {health['largest_group']:,} the "
        "same: a further number tells them apart. More codes (--codes) or assignment=balanced (--set) lower that.",
        soft_wrap=True,
    )
