"""Runs nodes of the pipeline one after the other in this process: executors as TFX calls them, without metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx.components.example_gen.driver import FileBasedDriver
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.common.importer import Importer

from tfx_pipeline.parquet_example_gen.component import ParquetExampleGen

BEAM = ["--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]


def run_nodes(nodes: list[Any], root: Path) -> dict[str, dict[str, Any]]:
    """Returns the output artifacts of every node by its id and their keys.

    Args:
        nodes: Components in an order in which they can run.
        root: Where artifacts go.
    """
    made: dict[str, dict[str, Any]] = {}
    for node in nodes:
        outputs = {key: channel.type() for key, channel in node.outputs.items()}
        made[node.id] = outputs
        if isinstance(node, Importer):
            outputs["result"].uri = node.exec_properties["artifact_uri"]
            continue
        for key, artifact in outputs.items():
            artifact.uri = str(root / node.id / key)
            Path(artifact.uri).mkdir(parents=True)
        inputs = {
            key: [made[channel.producer_component_id][channel.output_key]] for key, channel in node.inputs.items()
        }
        properties = dict(node.exec_properties)
        if isinstance(node, ParquetExampleGen):
            properties = FileBasedDriver(None).resolve_exec_properties(properties, None, None)
        kind = node.executor_spec.executor_class
        base = BaseBeamExecutor if issubclass(kind, BaseBeamExecutor) else BaseExecutor
        told = {"beam_pipeline_args": BEAM} if base is BaseBeamExecutor else {}
        context = base.Context(tmp_dir=str(root / "tmp" / node.id), unique_id="1", **told)
        kind(context).Do(inputs, {key: [artifact] for key, artifact in outputs.items()}, properties)
    return made
