"""LocalDagRunner that says what it does: a line per node, how far it is, why it failed, what came from the cache."""

from __future__ import annotations

import datetime
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from rich.console import Console
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.portable import launcher, partial_run_utils, runtime_parameter_utils

from tfrec.errors import TfrecError
from tfx_pipeline.node_watch import NodeWatch

_FAILED = metadata_store_pb2.Execution.FAILED
_CACHED = metadata_store_pb2.Execution.CACHED
_TALKATIVE = ("Tuner", "Trainer")
_SYMBOLS = {"done": "[green]✓[/]", "cached": "[cyan]=[/]", "left out": "[dim]-[/]", "failed": "[red]✗[/]"}


@dataclass(frozen=True)
class NodeRun:
    """What became of a node.

    Attributes:
        node: Its id.
        state: `done`, `cached`, `left out` (of a partial run) or `failed`.
        seconds: How long it took.
        execution: Id of the execution in the metadata; None when there was none.
    """

    node: str
    state: str
    seconds: float
    execution: int | None = None


class NodeError(TfrecError):
    """A node failed; the message names it and the cause, the exit code is that of the cause."""

    def __init__(self, node: str, cause: BaseException) -> None:
        known = isinstance(cause, TfrecError)
        text = str(cause) if known else f"{type(cause).__name__}: {_first_lines(cause)}"
        remedy = "" if known else "Run again with --debug for the traceback; nodes that were done come from the cache."
        super().__init__(f"{node} failed: {text}", remedy=remedy)
        self.node = node
        self.exit_code = cause.exit_code if isinstance(cause, TfrecError) else 1


class NodeRunner(LocalDagRunner):
    """Runs a compiled pipeline node by node in this process.

    Args:
        console: For one line per node.

    Attributes:
        nodes: What became of every node so far.
        run_id: Id of the run.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.nodes: list[NodeRun] = []
        self.run_id = datetime.datetime.now().isoformat()
        self._console = console

    def run_with_ir(self, pipeline: Any, run_options: Any = None, **_: Any) -> None:
        """Runs the nodes in their order.

        Raises:
            NodeError: A node failed; later ones were not begun.
        """
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        config = deployment.metadata_connection_config
        connection = getattr(config, config.WhichOneof("connection_config"))
        if run_options is not None:
            part = run_options.partial_run
            partial_run_utils.mark_pipeline(
                pipeline,
                from_nodes=list(part.from_nodes) or None,
                to_nodes=list(part.to_nodes) or None,
                snapshot_settings=part.snapshot_settings,
            )
        nodes = [entry.pipeline_node for entry in pipeline.nodes]
        for number, node in enumerate(nodes, 1):
            name = node.node_info.id
            label = f"[{number}/{len(nodes)}] {name}"
            if node.execution_options.HasField("skip"):
                self._note(NodeRun(name, "left out", 0.0), label)
                continue
            if self._console.is_terminal:
                self._console.print(f"  {label} ...", style="dim", markup=False)
            started = time.perf_counter()
            try:
                if node.execution_options.run.perform_snapshot:
                    with metadata.Metadata(connection) as store:
                        partial_run_utils.snapshot(store, pipeline)
                with self._watch(pipeline, name, label):
                    execution = self._launch(pipeline, node, deployment, connection)
            except Exception as error:
                self._note(NodeRun(name, "failed", time.perf_counter() - started), label)
                raise NodeError(name, error) from error
            state = "cached" if execution is not None and execution.last_known_state == _CACHED else "done"
            identity = None if execution is None else int(execution.id)
            self._note(NodeRun(name, state, time.perf_counter() - started, identity), label)

    def _launch(self, pipeline: Any, node: Any, deployment: Any, connection: Any) -> Any:
        """Runs one node and returns its execution as the metadata have it."""
        name = node.node_info.id
        found = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(connection),
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
        ).launch()
        if found is None or not found.execution_id:
            return None
        with metadata.Metadata(connection) as store:
            execution = store.store.get_executions_by_id([found.execution_id])[0]
        if execution.last_known_state == _FAILED:  # inputs that cannot be resolved raise nothing
            raise TfrecError("Its inputs are not there.", remedy="Run the nodes before it too: leave out --from.")
        return execution

    def _watch(self, pipeline: Any, name: str, label: str) -> AbstractContextManager[Any]:
        """Context in which a node that works for long is told of; some tell it themselves."""
        if name in _TALKATIVE:
            return nullcontext()

        def say(line: str) -> None:
            self._console.print(f"  {label} ... {line}", style="dim", markup=False, soft_wrap=True)

        return NodeWatch(Path(pipeline.runtime_spec.pipeline_root.field_value.string_value) / name, say)

    def _note(self, run: NodeRun, label: str) -> None:
        self.nodes.append(run)
        label = label.replace("[", "\\[", 1)
        what = f"{run.seconds:.1f} s" if run.state == "done" else f"{run.state}"
        what = f"{what} after {run.seconds:.1f} s" if run.state == "failed" else what
        self._console.print(f"{_SYMBOLS[run.state]} {label}  {what}")


def _first_lines(error: BaseException, most: int = 3) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:most]) or "no message"
