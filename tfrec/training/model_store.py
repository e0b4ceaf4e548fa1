"""From a configuration to a model, and from a run directory back to the trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec.config.load import load_run_config
from tfrec.config.run_config import ImpressionRunConfig, RunConfig, SequenceRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.index_translation import IndexTranslation
from tfrec.data.schema import DatasetSchema
from tfrec.errors import ConfigError, DataError
from tfrec.layers.given_tables import given_weights, learned_weights
from tfrec.models.impression_model import ImpressionModel
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.registry import model_class
from tfrec.training.checkpoints import checkpoint_identity, list_checkpoints, restore_checkpoint, save_checkpoint
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

        A model that does not read who a user is takes any users: their vocabulary and features may be others.

        Raises:
            SchemaMismatchError: Features or vocabularies differ from those the model was trained with.
        """
        self._check_searchable()
        dataset = InteractionDataset.open(path or self.dataset_path)
        expected = self._schema()
        if "user" in self.model.request_features:
            dataset.check_schema(expected)
        else:
            expected.without_users().check(dataset.schema.without_users(), file=dataset.path)
        return dataset

    def open_histories(self, path: str | None = None) -> tuple[InteractionDataset, IndexTranslation | None]:
        """Opens a data set for its histories, whatever indices its items, kinds of events and users have there.

        Args:
            path: Its directory. Default: that of the run.

        Returns:
            The data set; and what turns its indices into those of the model, None when they are the same.

        Raises:
            DataError: The data set of the run, which tells what its indices stand for, is gone or has changed; or
                events lack a feature that the model reads, or have ids of another type.
        """
        self._check_searchable()
        dataset = InteractionDataset.open(path or self.dataset_path)
        expected = self._schema()
        if dataset.schema.hash == expected.hash:
            return dataset, None
        names = ["item", *self.model.event_vocabularies]
        names += ["user"] if "user" in self.model.request_features else []
        return dataset, IndexTranslation.between(dataset, expected, names, trained=self.dataset_path)

    def _schema(self) -> DatasetSchema:
        file = self.directory.path / SCHEMA_FILE
        return DatasetSchema.from_text(file.read_text(encoding="utf-8"), file=str(file))

    def _check_searchable(self) -> None:
        if isinstance(self.config, ImpressionRunConfig):
            raise ConfigError(
                f"`{self.config.model.name}` is a click model: it scores rows, it has no catalogue to search.",
                remedy="Use tfrec.predict, tfrec.evaluate or tfrec.export.",
            )


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
    """Writes what `load_run` rebuilds the model from: its architecture and, once per run, what it is told of items.

    A run that is resumed goes on with what it was told when it began, should side features or vectors have changed.
    """
    run.write_json(run.path / MODEL_FILE, {"name": model.registered_name, "config": model.get_config()})
    if list_checkpoints(run.given):
        _restore_given(model, run)
    elif tables := given_weights(model):
        save_checkpoint(run.given, "tables", weights=tables)


def _restore_given(model: SequenceRecommender, run: RunDirectory) -> list[Path]:
    """Puts the tables of `describe_model` into the model; returns the checkpoint that has them, if there are any."""
    tables = given_weights(model)
    if not tables:
        return []
    stored = list_checkpoints(run.given)
    if not stored:
        raise DataError(
            "The run lacks the tables of its items.", file=run.given, remedy="Start the training again with --resume."
        )
    restore_checkpoint(stored[-1], weights=tables)
    return stored[-1:]


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
    given = _restore_given(model, directory)
    restore_checkpoint(checkpoints[-1], weights=learned_weights(model))
    return LoadedRun(
        directory, config, model, directory.read_json(directory.manifest), checkpoint_identity(checkpoints[-1], *given)
    )
