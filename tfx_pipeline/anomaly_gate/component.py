"""AnomalyGate: stops a run on dirty data."""

from __future__ import annotations

from pathlib import Path

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, Channel

from tfx_pipeline.anomaly_gate.executor import Executor
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds


class _Spec(component_spec.ComponentSpec):  # type: ignore[misc]
    PARAMETERS = {  # noqa: RUF012
        "bounds": component_spec.ExecutionParameter(type=str),
        "baseline": component_spec.ExecutionParameter(type=str),
        "report": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {  # noqa: RUF012
        "checked_schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }


class AnomalyGate(base_component.BaseComponent):  # type: ignore[misc]
    """Stops the run when the validator found anomalies, or the data differ too much from the last that passed.

    Its output `checked_schema` is what Transform and Trainer read, so that they wait for it.

    Args:
        examples: Of ParquetExampleGen.
        statistics: Of StatisticsGen.
        anomalies: Of ExampleValidator.
        schema: The curated schema.
        baseline: Directory where the gate remembers the data of the last run that passed.
        report: File for the report on anomalies.
        bounds: What is still accepted.
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
    ) -> None:
        super().__init__(
            _Spec(
                examples=examples,
                statistics=statistics,
                anomalies=anomalies,
                schema=schema,
                checked_schema=Channel(type=standard_artifacts.Schema),
                bounds=(bounds or GateBounds()).to_json(),
                baseline=str(baseline),
                report=str(report),
            )
        )
