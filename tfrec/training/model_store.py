"""From a configuration to a model, and from a run directory back to the trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec.config.load import load_run_config
from tfrec.config.run_config import ImpressionRunConfig, RunConfig, SequenceRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.schema import DatasetSchema
from tfrec.errors import ConfigError, DataError
from tfrec.models.impression_model import ImpressionModel
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.registry import model_class
from tfrec.training.checkpoints import checkpoint_identity, list_checkpoints, restore_checkpoint
from tfrec.training.run_directory import RunDirectory


@dataclass(frozen=True)
class LoadedRun:
    """A trained model and what it was trained with.

    Attributes:
        directory: The run directory.
        config: Effective configuration.
        model: The model with the weights of the chosen checkpoint.
        manifest: `manifest.json`.
        checkpoint: Name of the checkpoint and digest of its index, which changes with the weights.
    """

    directory: RunDirectory
    config: RunConfig
    model: SequenceRecommender
    manifest: dict[str, Any]
    checkpoint: str

    @property
    def dataset_path(self) -> str:
        """Where the data set of the training run lies."""
        return str(self.manifest["dataset"]["path"])

    def open_dataset(self, path: str | None = None) -> InteractionDataset:
        """Opens the data set of the run, or another one that must have the same schema.

        Raises:
            SchemaMismatchError: Features or vocabularies differ from those the model was trained with.
        """
        if isinstance(self.config, ImpressionRunConfig):
            raise ConfigError(
                f"`{self.config.model.name}` is a click model: it scores rows, it has no catalogue to search.",
                remedy="Use tfrec.predict, tfrec.evaluate or tfrec.export.",
            )
        dataset = InteractionDataset.open(path or self.dataset_path)
        schema = self.directory.path / SCHEMA_FILE
        dataset.check_schema(DatasetSchema.from_text(schema.read_text(encoding="utf-8"), file=str(schema)))
        return dataset


MODEL_FILE = "model.json"
SCHEMA_FILE = "schema.pbtxt"


def run_config(name: str, **sources: Any) -> RunConfig:
    """Builds the effective configuration of a registered model, see `tfrec.config.load.load_run_config`."""
    cls = model_class(name)
    return load_run_config(name, cls.config_class, training_scheme=cls.training_scheme, **sources)


def build_model(config: RunConfig, dataset: InteractionDataset | ImpressionDataset) -> SequenceRecommender:
    """Returns a new, untrained model.

    Args:
        config: Effective configuration; `training.precision` is the model's precision.
        dataset: What it will be trained on.
    """
    cls = model_class(config.model.name)
    architecture = cls.config_class.model_validate(config.model.model_dump(exclude={"name"}))
    precision = config.training.precision if isinstance(config, SequenceRunConfig) else "float32"
    model: SequenceRecommender = cls.for_dataset(architecture, dataset, seed=config.seed, dtype=precision)
    return model


def describe_model(model: SequenceRecommender, run: RunDirectory) -> None:
    """Writes what `load_run` rebuilds the model from."""
    run.write_json(run.path / MODEL_FILE, {"name": model.registered_name, "config": model.get_config()})


def is_click_run(path: str | Path) -> bool:
    """Whether the model of a run is a click model.

    Raises:
        DataError: It is not a run directory.
    """
    directory = RunDirectory(path)
    name = directory.read_json(directory.path / MODEL_FILE)["name"]
    return issubclass(model_class(name), ImpressionModel)


def load_run(path: str | Path) -> LoadedRun:
    """Loads the model of a run: its best weights where it was validated, else its latest checkpoint.

    Args:
        path: The run directory.

    Raises:
        DataError: It is not a run directory, has no checkpoint yet, or is damaged.
    """
    directory = RunDirectory(path)
    description = directory.read_json(directory.path / MODEL_FILE)
    config = run_config(description["name"], file=directory.config)
    cls = model_class(description["name"])
    model: SequenceRecommender = cls.from_config(description["config"])
    checkpoints = list_checkpoints(directory.best) or list_checkpoints(directory.checkpoints)
    if not checkpoints:
        raise DataError("The run has no checkpoint.", file=directory.checkpoints, remedy="Train again or --resume.")
    restore_checkpoint(checkpoints[-1], weights=model.weights)
    return LoadedRun(
        directory, config, model, directory.read_json(directory.manifest), checkpoint_identity(checkpoints[-1])
    )
