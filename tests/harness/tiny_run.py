"""The run directory of a tiny model, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.tiny_recommender import tiny_recommender
from tfrec.config.load import dump_yaml
from tfrec.data.dataset import InteractionDataset
from tfrec.layers.given_tables import learned_weights
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.model_store import SCHEMA_FILE, describe_model, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_manifest import run_manifest


def tiny_run(folder: Path, name: str, dataset: InteractionDataset, **settings: Any) -> SequenceRecommender:
    """Writes the run of `tiny_recommender(name, dataset, **settings)` as `tfrec.train` would, and returns the model."""
    model = tiny_recommender(name, dataset, **settings)
    run = RunDirectory(folder)
    run.prepare(overwrite=False, resume=False)
    config = run_config(name, assignments=[f"data.path={dataset.path}"])
    run.write_config(dump_yaml(config))
    run.write_json(run.manifest, run_manifest(config, dataset))
    (run.path / SCHEMA_FILE).write_text(dataset.schema.to_text(), encoding="utf-8")
    describe_model(model, run)
    save_checkpoint(run.checkpoints, "tiny", weights=learned_weights(model))
    return model
