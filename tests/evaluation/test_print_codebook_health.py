"""Use of codes, on the console."""

from __future__ import annotations

import io

from rich.console import Console

from tfrec.evaluation.print_codebook_health import print_codebook_health


def test_the_use_of_codes_is_told_in_words() -> None:
    levels = [
        {"size": 64, "used": 1.0, "perplexity": 51.26, "largest": 0.0667},
        {"size": 32, "used": 0.5, "perplexity": 3.0, "largest": 0.6},
    ]
    health = {"items": 17_564, "levels": levels, "collisions": 0.8298, "largest_group": 112}
    out = io.StringIO()
    print_codebook_health(health, Console(file=out, width=100))
    words = out.getvalue().split()
    assert {"17,564", "100%", "51.3", "6.7%", "50%", "3.0", "60.0%", "83.0%", "112"} <= set(words)
