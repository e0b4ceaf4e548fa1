"""What a conversion of impressions made, on the console."""

from __future__ import annotations

from rich.console import Console

from tfrec.data.impressions.impression_manifest import ImpressionManifest
from tfrec.data.print_conversion import print_destination
from tfrec.tables import make_table


def print_impression_conversion(manifest: ImpressionManifest, output: str, console: Console, *, dry_run: bool) -> None:
    """Prints rows, clicks and shards of a dataset by split.

    Args:
        manifest: Its manifest.
        output: Where it is, or would be.
        console: Where to print.
        dry_run: Nothing was written.
    """
    rows = [
        [name, f"{part.rows:,}", f"{part.clicks:,}", f"{100 * part.clicks / part.rows:.3f} %", str(len(part.shards))]
        for name, part in manifest.splits.items()
    ]
    if rows:
        title = f"{manifest.rows_read:,} rows read"
        console.print(make_table(title, ["split", "rows", "clicks", "click rate", "shards"], rows))
    print_destination(output, console, dry_run=dry_run)
