"""The run directory of a tiny click model of any name, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfrec.config.load import dump_yaml
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.models.impression_model import ImpressionModel
from tfrec.registry import model_class, model_names
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.impression_experiment import ENCODER_FOLDER
from tfrec.training.model_store import SCHEMA_FILE, build_model, describe_model, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_manifest import run_manifest

CLICK_MODELS = [name for name in model_names() if issubclass(model_class(name), ImpressionModel)]
SMALL: dict[str, Any] = {"embedding_dim": 4, "max_length": 5, "hidden": "[6]", "heads": 2, "sequence": "[seq]"}
"""Settings that are taken wherever an architecture has a key of this name."""


def tiny_settings(name: str) -> list[str]:
    """Returns the small settings of a registered model as `--set` takes them."""
    known = model_class(name).config_class.model_fields
    return [f"model.{key}={value}" for key, value in SMALL.items() if key in known]


def tiny_click_run(folder: Path, name: str, dataset: ImpressionDataset) -> ImpressionModel:
    """Writes a run as `tfrec.train` would, with random weights in place of trained ones, and returns the model."""
    config = run_config(name, assignments=[*tiny_settings(name), f"data.path={dataset.path}"])
    model: Any = build_model(config, dataset)
    random = np.random.default_rng(11)
    for weight in model.trainable_weights:
        weight.assign(random.normal(0.0, 0.5, weight.shape).astype(np.float32))
    run = RunDirectory(folder)
    run.prepare(overwrite=False, resume=False)
    run.write_config(dump_yaml(config))
    run.write_json(run.manifest, run_manifest(config, dataset))
    (run.path / SCHEMA_FILE).write_text(dataset.schema.to_text(), encoding="utf-8")
    dataset.encoder.save(run.path / ENCODER_FOLDER)
    describe_model(model, run)
    save_checkpoint(run.checkpoints, "tiny", weights=model.weights)
    return model
