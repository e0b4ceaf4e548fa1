"""Memories of users: between stages, as JSON, and in figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import DataError
from tfrec.files import atomic_write
from tfrec.layers.user_memory import UserMemory
from tfrec.training.checkpoints import list_checkpoints, restore_checkpoint, save_checkpoint

MEMORIES_FILE = "memories.json"
_FORMAT = 1
_ROWS_AT_ONCE = 1 << 12


def save_memory_state(memory: UserMemory, folder: Path) -> None:
    """Keeps counters and former states in `folder/memory`; the memories themselves are weights of the model."""
    save_checkpoint(folder / "memory", "state", weights=[], training_state=list(memory.training_state.values()))


def load_memory_state(memory: UserMemory, folder: Path) -> None:
    """Takes counters and former states back from where `save_memory_state` put them, if it did."""
    for found in list_checkpoints(folder / "memory")[-1:]:
        restore_checkpoint(found, weights=[], training_state=list(memory.training_state.values()))


def write_memories(path: Path, memory: UserMemory, users: Vocabulary) -> int:
    """Writes the memories in use as JSON, by raw user id; returns how many there are.

    `{"format": 1, "dim": .., "step": .., "users": {ID: {memory_vector, memory_history (the latest first),
    interaction_count, last_update_step, metadata}}}`. It is written piece by piece.

    Args:
        path: The file.
        memory: After `prepare_training`.
        users: The user vocabulary.
    """
    written = 0
    with atomic_write(path) as file:
        file.write(json.dumps({"format": _FORMAT, "dim": memory.dim, "step": _step(memory)})[:-1] + ', "users": {')
        for start in range(FIRST_INDEX, memory.users, _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, memory.users))
            part = _part(memory, rows)
            used = part["vectors"].any(axis=1)
            raw = users.raw(rows)
            for place in np.flatnonzero(used):
                former = part["history"][place]
                entry = {
                    "memory_vector": _numbers(part["vectors"][place]),
                    "memory_history": [_numbers(state) for state in former if state.any()],
                    "interaction_count": int(part["all_interactions"][place]),
                    "last_update_step": int(part["last_step"][place]),
                    "metadata": {
                        "updates": int(part["updates"][place]),
                        "since_update": int(part["interactions"][place]),
                    },
                }
                file.write(("," if written else "") + f"\n{json.dumps(str(raw[place]))}: {json.dumps(entry)}")
                written += 1
        file.write("\n}}\n")
    return written


def read_memories(path: Path, memory: UserMemory, users: Vocabulary) -> int:
    """Takes memories from a file of `write_memories`; users that the vocabulary lacks are passed over.

    Args:
        path: The file.
        memory: After `prepare_training`; users that the file does not name get no memory.
        users: The user vocabulary.

    Returns:
        How many users have one.

    Raises:
        DataError: The file is damaged, or holds memories of another width; the memories are as they were.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT or document["dim"] != memory.dim:
            raise DataError(
                f"Memories of format {document['format']} and width {document['dim']}, expected {_FORMAT} and "
                f"{memory.dim}.",
                file=path,
            )
        entries: dict[str, dict[str, Any]] = document["users"]
        index = users.lookup(list(_raw(entries, users)))
        arrays = {"vectors": np.zeros([memory.users, memory.dim], np.float32)}
        tables = {name: table for name, table in memory.training_state.items() if name != "step"}
        arrays |= {name: np.zeros(table.shape, table.dtype.as_numpy_dtype) for name, table in tables.items()}
        step = int(document["step"])
        found = 0
        for row, entry in zip(index, entries.values(), strict=True):
            if row < FIRST_INDEX:
                continue
            found += 1
            arrays["vectors"][row] = entry["memory_vector"]
            former = np.array(entry["memory_history"][: memory.history], np.float32).reshape(-1, memory.dim)
            arrays["history"][row, : len(former)] = former
            arrays["all_interactions"][row] = entry["interaction_count"]
            arrays["last_step"][row] = entry["last_update_step"]
            arrays["updates"][row] = entry["metadata"]["updates"]
            arrays["interactions"][row] = entry["metadata"]["since_update"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Not a file of memories: {type(error).__name__}: {error}", file=path) from error
    memory.vectors.assign(arrays.pop("vectors"))
    for name, values in arrays.items():
        memory.training_state[name].assign(values)
    memory.training_state["step"].assign(step)
    return found


def memory_statistics(memory: UserMemory) -> dict[str, float]:
    """Returns figures of the memories, after `prepare_training`.

    `users` with a memory, `share` of all users, `updates`, `mean_interactions` and `mean_history` of those users,
    `mean_norm`, `mean_change` (1 minus the cosine of a memory and its state before the last update), `step`.
    """
    totals = dict.fromkeys(("users", "updates", "interactions", "history", "norm", "change", "changed"), 0.0)
    for start in range(FIRST_INDEX, memory.users, _ROWS_AT_ONCE):
        part = _part(memory, np.arange(start, min(start + _ROWS_AT_ONCE, memory.users)))
        used = part["vectors"].any(axis=1)
        now = part["vectors"][used]
        totals["users"] += int(used.sum())
        totals["updates"] += int(part["updates"][used].sum())
        totals["interactions"] += int(part["all_interactions"][used].sum())
        totals["norm"] += float(np.linalg.norm(now, axis=1).sum())
        former = part["history"][used]
        totals["history"] += int(former.any(axis=2).sum())
        if memory.history:
            then = former[:, 0]
            lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1)
            cosine = np.divide((now * then).sum(axis=1), lengths, out=np.ones_like(lengths), where=lengths > 0)
            totals["change"] += float((1.0 - cosine)[lengths > 0].sum())
            totals["changed"] += int((lengths > 0).sum())
    users = max(1.0, totals["users"])
    return {
        "users": totals["users"],
        "share": totals["users"] / max(1, memory.users - FIRST_INDEX),
        "updates": totals["updates"],
        "mean_interactions": totals["interactions"] / users,
        "mean_history": totals["history"] / users,
        "mean_norm": totals["norm"] / users,
        "mean_change": totals["change"] / max(1.0, totals["changed"]),
        "step": float(_step(memory)),
    }


def _part(memory: UserMemory, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    state = {name: tf.gather(table, rows).numpy() for name, table in memory.training_state.items() if name != "step"}
    return {**state, "vectors": memory.read(rows).numpy()}


def _step(memory: UserMemory) -> int:
    return int(memory.training_state["step"].numpy())


def _numbers(vector: Iterable[Any]) -> list[float]:
    return [float(value) for value in vector]


def _raw(ids: Iterable[str], users: Vocabulary) -> Iterable[Any]:
    return (int(raw) if users.id_type == "int64" else raw for raw in ids)
