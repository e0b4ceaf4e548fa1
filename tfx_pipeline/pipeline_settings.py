"""Everything that a run of the pipeline is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.impression_run_configs import ImpressionEvaluationConfig
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds
from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.features import TransformSettings
from tfx_pipeline.trainer_module import TrainerSettings
from tfx_pipeline.tuner_module import TunerSettings


@dataclass(frozen=True)
class PipelineSettings:
    """What the nodes are told.

    Attributes:
        root: Directory of artifacts, metadata, logs and reports.
        conversion: Flags of `tfrec.convert` (roles of columns, filters, split rule), with the files of the log; those
            of impressions have the key `impressions`.
        trainer: Model and settings.
        gate: Bounds of the Evaluator.
        rules: Cut-offs, tie rule and history rule by which models that rank are compared; slices of click models.
        transform: Vocabulary and time features.
        anomalies: Bounds of the anomaly gate.
        serving: Directory of versions that models are pushed to.
        keep: Versions to keep there; 0 = all.
        push_again: Whether a model that was rolled back there is pushed all the same.
        redis: Redis server without password; None publishes nothing.
        tuner: What the Tuner is told; None = there is none.
        beam: Flags for Beam.
        cache: Whether nodes may come from the cache.
        occasion: Tells this run from all others.
        remarks: What people should know before it begins.
    """

    root: Path
    conversion: Mapping[str, Any]
    trainer: TrainerSettings
    gate: EvaluatorBounds
    rules: EvaluationConfig | ImpressionEvaluationConfig
    serving: Path
    anomalies: GateBounds = field(default_factory=GateBounds)
    transform: TransformSettings = field(default_factory=TransformSettings)
    keep: int = 0
    push_again: bool = False
    redis: str | None = None
    tuner: TunerSettings | None = None
    beam: tuple[str, ...] = ()
    cache: bool = True
    occasion: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def artifacts(self) -> Path:
        """Where the nodes write."""
        return self.root / "artifacts"

    @property
    def metadata(self) -> Path:
        """The metadata's database."""
        return self.root / "metadata.sqlite"
