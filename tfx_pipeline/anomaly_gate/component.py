"""AnomalyGate: stops a run on dirty data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel

from tfx_pipeline.anomaly_gate.executor import Executor
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds


class _Spec(component_spec.ComponentSpec):  # type: ignore[misc]
    PARAMETERS = {  # noqa: RUF012
        "bounds": component_spec.ExecutionParameter(type=str),
        "baseline": component_spec.ExecutionParameter(type=str),
        "report": component_spec.ExecutionParameter(type=str),
        "occasion": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS: dict[str, Any] = {}  # noqa: RUF012


class AnomalyGate(base_component.BaseComponent):  # type: ignore[misc]
    """Stops the run when the validator found anomalies, or the data differ too much from the last that passed.

    It has no output, so that later nodes may come from the cache although it judges every run: they wait for it by
    `add_upstream_node`.

    Args:
        examples: Of ParquetExampleGen.
        statistics: Of StatisticsGen.
        anomalies: Of ExampleValidator.
        schema: The curated schema.
        baseline: Directory where the gate remembers the data of the last run that passed.
        report: File for the report on anomalies.
        bounds: What is still accepted.
        occasion: Differs from run to run, so that the judgement is never taken from the cache: TFX does not know what
            the gate remembers.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        statistics: BaseChannel,
        anomalies: BaseChannel,
        schema: BaseChannel,
        *,
        baseline: Path,
        report: Path,
        bounds: GateBounds | None = None,
        occasion: str = "",
    ) -> None:
        super().__init__(
            _Spec(
                examples=examples,
                statistics=statistics,
                anomalies=anomalies,
                schema=schema,
                bounds=(bounds or GateBounds()).to_json(),
                baseline=str(baseline),
                report=str(report),
                occasion=occasion,
            )
        )
