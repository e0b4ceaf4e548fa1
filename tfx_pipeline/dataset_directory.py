"""The directory around transformed examples: it is whole, or it is not there."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfrec.data.manifest import MANIFEST_NAME
from tfrec.errors import DataError


def check_replaceable(output: Path) -> None:
    """Raises DataError where something that is no dataset directory would be replaced."""
    if output.exists() and not (output / MANIFEST_NAME).exists():
        raise DataError("The output exists and is not a dataset directory.", file=output, remedy="Choose another.")


@contextlib.contextmanager
def replaced_dataset(output: Path) -> Iterator[Path]:
    """Gives an empty directory beside `output`, which takes its place when the block ends without an error.

    Args:
        output: The dataset directory; an older one there is removed.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield root
        root.chmod(0o755)
        if output.exists():
            shutil.rmtree(output)
        root.rename(output)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
