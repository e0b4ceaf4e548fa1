"""What every run does before a model is built: settings, data and where it comes from, checked and written down."""

from __future__ import annotations

from typing import Any

import yaml

from tfrec.config.load import dump_yaml
from tfrec.config.run_config import RunConfig, StagedRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.item_vectors import read_item_vectors
from tfrec.data.user_vectors import read_user_vectors
from tfrec.errors import ConfigError, DataError
from tfrec.training.model_store import SCHEMA_FILE
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_manifest import check_same_data, run_manifest


def check_splits(dataset: InteractionDataset | ImpressionDataset, config: RunConfig) -> None:
    """Raises DataError unless the data set has the splits that the run needs."""
    for split in ("train", config.evaluation.split):
        if split not in dataset.splits:
            raise DataError(
                f"The data set has no split `{split}`; it has {', '.join(f'`{name}`' for name in dataset.splits)}.",
                file=dataset.path,
                remedy="Convert the data with another `--split`, or set `evaluation.split`.",
            )


def check_vectors(dataset: InteractionDataset, config: RunConfig) -> None:
    """Raises DataError unless the vectors and texts that the model reads lie beside the data set."""
    items, users = list(getattr(config.model, "item_vectors", ())), []
    if isinstance(config, StagedRunConfig) and config.model.has_retriever:
        items.append(config.model.retriever.item_texts)
        users.append(config.model.retriever.user_texts)
    for name in filter(None, items):
        read_item_vectors(dataset, name)
    for name in filter(None, users):
        read_user_vectors(dataset, name)


def write_settings(run: RunDirectory, config: RunConfig, *, resume: bool) -> None:
    """Writes `config.yaml`.

    Raises:
        ConfigError: The run that is resumed has settings by which its weights would be others.
    """
    text = dump_yaml(config)
    if resume and _decides_weights(run.config.read_text(encoding="utf-8")) != _decides_weights(text):
        raise ConfigError(
            f"The configuration differs from `{run.config}`.",
            remedy="Resume with the same settings, or start a new run. Those of `evaluation` may change, "
            "but with `patience` not those by which the weights are chosen: `tie_rule` and `exclude_history`, "
            "or `group` where gAUC is monitored.",
        )
    run.write_config(text)


def record_data(
    run: RunDirectory,
    config: RunConfig,
    dataset: InteractionDataset | ImpressionDataset,
    *,
    resume: bool,
    replayed: dict[str, Any] | None,
) -> None:
    """Reads the data once and compares checksums, then writes `manifest.json` and the schema.

    Args:
        run: The run directory.
        config: Effective configuration.
        dataset: The data it is trained on.
        resume: The run is continued: its data must be unchanged, and its first manifest is kept.
        replayed: Manifest of a run that is repeated; its data must be unchanged.

    Raises:
        DataError: The data is damaged or has changed.
    """
    dataset.verify()
    first = run.read_json(run.manifest) if resume and run.manifest.is_file() else None
    for earlier in (first, replayed):
        if earlier is not None:
            check_same_data(earlier, dataset)
    manifest = run_manifest(config, dataset)
    if first is not None:
        manifest = {**first, "resumed": [*first.get("resumed", []), manifest]}
    run.write_json(run.manifest, manifest)
    (run.path / SCHEMA_FILE).write_text(dataset.schema.to_text(), encoding="utf-8")


def _decides_weights(text: str) -> dict[str, Any]:
    """Returns the settings that decide the weights; with patience, so does how the validation split is measured."""
    settings: dict[str, Any] = yaml.safe_load(text)
    evaluation = settings.pop("evaluation", {})
    training = settings.get("training", {})
    stages = [stage for stage in settings.get("stages", {}).values() if isinstance(stage, dict)]
    if any(section.get("patience") for section in (training, *stages)):
        keys = ["tie_rule", "exclude_history"]
        if "gauc" in str(training.get("monitor")):
            keys.append("group")
        settings["evaluation"] = {key: evaluation.get(key) for key in keys}
    return settings
