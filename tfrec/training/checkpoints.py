"""Checkpoints that are whole or absent, with everything a run needs to go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrec.errors import DataError

_PROGRESS = "progress.json"
_PREFIX = "state"


def save_checkpoint(
    folder: Path,
    name: str,
    *,
    weights: Sequence[keras.Variable],
    training_state: Sequence[tf.Variable] = (),
    progress: Mapping[str, Any] | None = None,
    keep: int = 1,
) -> Path:
    """Writes `folder/name` and removes the oldest beyond `keep`.

    Args:
        folder: Directory of all checkpoints.
        name: Name of this one; names sort in the order of training.
        weights: Variables that make up the model.
        training_state: Further variables that only a resumed run needs (optimiser, lane states, metrics).
        progress: Counters that a resumed run needs, stored as JSON.
        keep: Number of latest checkpoints to keep.

    Returns:
        Path of the checkpoint, renamed into place when whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary, final = folder / f".{name}.partial", folder / name
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    _checkpoint(weights, training_state).write(str(temporary / _PREFIX))
    (temporary / _PROGRESS).write_text(json.dumps(dict(progress or {})), encoding="utf-8")
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Returns the whole checkpoints in `folder`, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and (path / _PROGRESS).is_file())


def checkpoint_identity(path: Path, *others: Path) -> str:
    """Returns the name of a checkpoint and a digest of it and of others; indices hold a checksum of every variable."""
    digest = hashlib.sha256()
    for checkpoint in (path, *others):
        digest.update((checkpoint / f"{_PREFIX}.index").read_bytes())
    return f"{path.name}:{digest.hexdigest()}"


def restore_checkpoint(
    path: Path, *, weights: Sequence[keras.Variable], training_state: Sequence[tf.Variable] = ()
) -> dict[str, Any]:
    """Loads a checkpoint into existing variables.

    Args:
        path: A checkpoint of `save_checkpoint`.
        weights: Variables that make up the model, in the order they were saved in.
        training_state: As saved; empty to load the model for inference only.

    Returns:
        The stored progress.

    Raises:
        DataError: The checkpoint is damaged or belongs to another architecture.
    """
    try:
        progress: dict[str, Any] = json.loads((path / _PROGRESS).read_text(encoding="utf-8"))
        stored = dict(tf.train.list_variables(str(path / _PREFIX)))
        for number, variable in enumerate(weights):
            key = f"weights/{number}/.ATTRIBUTES/VARIABLE_VALUE"
            if stored.get(key) != list(variable.shape):
                raise DataError(
                    f"Weight `{variable.path}` has the shape {list(variable.shape)}, the checkpoint {stored.get(key)}.",
                    file=path,
                    remedy="The checkpoint belongs to another configuration or data set.",
                )
        status = _checkpoint(weights, training_state).read(str(path / _PREFIX))
        status.assert_existing_objects_matched()
        status.expect_partial()
    except (tf.errors.OpError, OSError, ValueError, AssertionError) as error:
        raise DataError(
            f"The checkpoint cannot be read: {error}", file=path, remedy="Delete it; an older one is used if present."
        ) from error
    return progress


def _checkpoint(weights: Sequence[keras.Variable], training_state: Sequence[tf.Variable]) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(weights=[variable.value for variable in weights], training_state=list(training_state))
