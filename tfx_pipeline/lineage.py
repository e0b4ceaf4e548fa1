"""What a run of the pipeline made of what, from the metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config

_INPUTS = (metadata_store_pb2.Event.INPUT, metadata_store_pb2.Event.DECLARED_INPUT)
_OUTPUTS = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
_HASHED_BYTES = 64 * 2**20
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ArtifactRecord:
    """One artifact.

    Attributes:
        key: What the node calls it, as `model`.
        identity: Its id in the metadata.
        kind: Its type, as `Model`.
        uri: Where it lies.
        properties: Custom properties.
    """

    key: str
    identity: int
    kind: str
    uri: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class ExecutionRecord:
    """What one node did in a run.

    Attributes:
        node: Id of the node.
        state: `COMPLETE`, `CACHED`, `FAILED`, `RUNNING` ...
        inputs: Artifacts that it read.
        outputs: Artifacts that it wrote or, from the cache, took over.
    """

    node: str
    state: str
    inputs: list[ArtifactRecord]
    outputs: list[ArtifactRecord]


@dataclass(frozen=True)
class Lineage:
    """All executions of a run, in their order."""

    run_id: str
    executions: list[ExecutionRecord]

    def outputs(self, node: str, key: str | None = None) -> list[ArtifactRecord]:
        """Returns the outputs of a node, all or those of one key; none when it did not run."""
        found = [output for execution in self.executions if execution.node == node for output in execution.outputs]
        return [output for output in found if key in (None, output.key)]

    def inputs(self, node: str, key: str) -> list[ArtifactRecord]:
        """Returns the inputs of a node of one key."""
        found = [given for execution in self.executions if execution.node == node for given in execution.inputs]
        return [given for given in found if given.key == key]


def read_lineage(database: Path, run_id: str) -> Lineage:
    """Reads what a run left in the metadata.

    Args:
        database: The SQLite file.
        run_id: Id of the run.
    """
    store = metadata_store.MetadataStore(sqlite_metadata_connection_config(str(database)))
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    executions = sorted(store.get_executions_by_context(context.id), key=lambda one: one.id) if context else []
    events = store.get_events_by_execution_ids([one.id for one in executions]) if executions else []
    artifacts = {one.id: one for one in store.get_artifacts_by_id(sorted({event.artifact_id for event in events}))}
    types = {one.id: one.name for one in store.get_artifact_types()}

    def records(execution: int, kinds: tuple[int, ...]) -> Iterator[ArtifactRecord]:
        for event in events:
            if event.execution_id == execution and event.type in kinds:
                held = artifacts[event.artifact_id]
                key = next((step.key for step in event.path.steps if step.HasField("key")), "")
                yield ArtifactRecord(key, held.id, types[held.type_id], held.uri, _properties(held))

    found = []
    for one in executions:
        state = metadata_store_pb2.Execution.State.Name(one.last_known_state)
        inputs, outputs = list(records(one.id, _INPUTS)), list(records(one.id, _OUTPUTS))
        found.append(ExecutionRecord(_node(store, one.id), state, inputs, outputs))
    return Lineage(run_id, found)


def artifact_digest(uri: str) -> str | None:
    """Returns a checksum of the names and contents of all files of an artifact.

    Args:
        uri: Local directory or file.

    Returns:
        16 hexadecimal digits; None for remote and missing artifacts and for those above 64 MiB.
    """
    root = Path(uri)
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    if not all(path.is_file() for path in files) or sum(path.stat().st_size for path in files) > _HASHED_BYTES:
        return None
    total = hashlib.sha256()
    for path in files:
        total.update(str(path.relative_to(root)).encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                total.update(chunk)
    return total.hexdigest()[:16]


def _node(store: Any, execution: int) -> str:
    kinds = {one.id: one.name for one in store.get_context_types()}
    for context in store.get_contexts_by_execution(execution):
        if kinds[context.type_id] == "node":
            return str(context.name).partition(".")[2]
    return ""


def _properties(artifact: Any) -> dict[str, Any]:
    found = {}
    for name, value in artifact.custom_properties.items():
        kind = value.WhichOneof("value")
        if kind in ("int_value", "string_value", "double_value"):
            found[name] = getattr(value, kind)
    return found
