"""What the Trainer calls: `run_fn` trains any registered model as `tfrec.train` does and exports it for serving."""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError
from tfrec.serving.export_run import ExportOptions, export_run
from tfrec.training.experiment import run_experiment
from tfrec.training.impression_experiment import ENCODER_FOLDER
from tfrec.training.model_store import is_click_run, run_config
from tfx_pipeline.open_transformed import open_transformed
from tfx_pipeline.side_inputs import SideInputs

RUN_FN = "tfx_pipeline.trainer_module.run_fn"
DATASET = "dataset"
RUN = "run"
_SPLIT = "Split-"


@dataclass(frozen=True)
class TrainerSettings:
    """What the Trainer is told; travels as `custom_config`, so that a change of it trains anew.

    Attributes:
        model: Registered name.
        config: Text of a YAML file of settings; empty for none.
        assignments: Further settings, as `--set` takes them.
        export: Settings of `ExportConfig`, as `index.kind=ivf`.
        effective: The effective configuration as JSON, presets included, so that a change of those trains anew.
        side: Features and vectors of items and users besides the log, see `SideInputs`; empty for none.
        code: Version of the code, so that another one does not take models from the cache.
    """

    model: str
    config: str = ""
    assignments: tuple[str, ...] = ()
    export: tuple[str, ...] = ()
    effective: str = ""
    side: str = ""
    code: str = ""

    def custom_config(self) -> dict[str, str]:
        """Returns the settings as the Trainer's `custom_config` takes them."""
        return {"settings": json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def from_custom_config(cls, custom_config: Mapping[str, Any] | None) -> TrainerSettings:
        """Returns the settings in a `custom_config`."""
        values = json.loads((custom_config or {}).get("settings", "{}"))
        if "model" not in values:
            raise ConfigError("The Trainer is not told which model to train.", remedy="Use `TrainerSettings`.")
        lists = {name: tuple(values.get(name, ())) for name in ("assignments", "export")}
        return cls(**{**values, **lists})

    def run_config(self, folder: Path, dataset: str | None = None, tuned: Sequence[str] = ()) -> RunConfig:
        """Returns the effective configuration of the run.

        Args:
            folder: Where the text of the configuration is put, for messages that name a file.
            dataset: The dataset directory. Default: that of the configuration.
            tuned: Settings that a Tuner found; `assignments` come before them.

        Raises:
            ConfigError: A setting is unknown or has no valid value.
        """
        file = None
        if self.config:
            file = folder / "given_config.yaml"
            file.write_text(self.config, encoding="utf-8")
        data = [] if dataset is None else [f"data.path={dataset}"]
        return run_config(self.model, file=file, assignments=[*self.assignments, *tuned, *data])


def run_fn(fn_args: Any) -> None:
    """Trains, evaluates and exports.

    The output `model_run` holds `dataset/`, the dataset directory around the transformed examples, and `run/`, the run
    directory, as `tfrec.evaluate`, `tfrec.recommend` and `tfrec.publish` take it. The SavedModel is that of
    `tfrec.export`, with the signature `rank_targets` for the Evaluator; click models have `serialized` anyway.

    Args:
        fn_args: `FnArgs` of TFX.
    """
    console = Console(stderr=True, highlight=False)
    settings = TrainerSettings.from_custom_config(fn_args.custom_config)
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = transformed_dataset(fn_args, folder / DATASET)
    config = settings.run_config(folder, str(dataset.path), tuned_assignments(fn_args.hyperparameters))
    run_experiment(config, folder / RUN, console)
    document = export_model(folder / RUN, Path(fn_args.serving_model_dir), settings.export)
    console.print(f"Exported with the signatures {', '.join(document['signatures'])}.", markup=False)


def transformed_dataset(fn_args: Any, output: Path) -> InteractionDataset | ImpressionDataset:
    """Makes the dataset directory around the transformed examples that a Trainer or Tuner is given.

    All splits of the artifact are taken, whichever of them TFX lists; and the side features of the settings.

    Args:
        fn_args: `FnArgs` of TFX.
        output: The directory.
    """
    splits, _ = posixpath.split(posixpath.dirname(fn_args.train_files[0]))  # .../Split-train/*
    names = [name.rstrip("/").removeprefix(_SPLIT) for name in tf.io.gfile.listdir(splits) if name.startswith(_SPLIT)]
    examples = {name: posixpath.join(splits, _SPLIT + name) for name in names}
    graph = fn_args.transform_graph_path or fn_args.transform_output
    return open_transformed(graph, examples, output, SideInputs.from_custom_config(fn_args.custom_config))


def tuned_assignments(hyperparameters: Mapping[str, Any] | None) -> list[str]:
    """Returns what a Tuner found as settings: the values of a configuration of KerasTuner's hyperparameters."""
    values = (hyperparameters or {}).get("values", {})
    return [f"{name}={json.dumps(value)}" for name, value in values.items() if "/" not in name]


def export_model(run: Path, output: Path, assignments: Sequence[str]) -> dict[str, Any]:
    """Exports a run into a directory of its own, without versions beside it, as the Evaluator needs it.

    Golden requests are replayed later, by a component of their own.

    Args:
        run: The run directory.
        output: The directory of the SavedModel.
        assignments: Settings of the export.

    Returns:
        The content of `export.json`.
    """
    versions = output.with_name(f".{output.name}.versions")
    settings = [*assignments, types_of_examples(run) if is_click_run(run) else "rank_targets=true"]
    try:
        options = ExportOptions(run=run, assignments=settings, verify=False)
        document = export_run(versions, options, Console(quiet=True))
        output.parent.mkdir(parents=True, exist_ok=True)
        Path(document["path"]).rename(output)
    finally:
        shutil.rmtree(versions, ignore_errors=True)
    return document


def types_of_examples(run: Path) -> str:
    """Returns the setting by which the export of a click model reads raw examples: lists of numbers are floats there.

    Args:
        run: The run directory.
    """
    fields = FieldEncoder.load(run / ENCODER_FOLDER).fields.fields
    return "types=" + json.dumps({field.name: "float" for field in fields if field.kind == "numbers"})
