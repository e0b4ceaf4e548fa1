"""What the Tuner calls: `tuner_fn` searches the settings of any registered model as `tfrec.tune` does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from tfx.components.tuner.component import TunerFnResult

from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError
from tfrec.training.run_manifest import dataset_fingerprint
from tfrec.tuning.best_config import data_hash
from tfrec.tuning.pipeline_tuner import PipelineTuner
from tfrec.tuning.read_space import read_space
from tfrec.tuning.search_settings import SearchSettings
from tfx_pipeline.trainer_module import transformed_dataset

TUNER_FN = "tfx_pipeline.tuner_module.tuner_fn"


@dataclass(frozen=True)
class TunerSettings:
    """What the Tuner is told; travels as `custom_config`, so that a change of it searches anew.

    Attributes:
        model: Registered name.
        config: Text of a YAML file of settings; empty for none.
        assignments: Further settings, as `--set` takes them; they are not searched.
        trials: Number of trials; None for the searcher's default.
        searcher: `random`, `bayesian`, `hyperband` or `grid`.
        objective: Metric of the split `valid`, of the full ranking or of clicks; empty for what training monitors.
        seed: Seed of the proposals and of every trial.
        space: Path of a search space; empty for the built-in one.
        confirm_seeds: Fresh seeds for the winner and the default configuration; 0: none.
        directory: Where searches stay, in a directory each by settings and data, so that one that was interrupted goes
            on; empty for the component's working directory, which TFX removes.
        searched: What decides the trials, presets and space included, so that a change of those searches anew.
        side: As of `TrainerSettings`.
        code: Version of the code, so that another one does not take results from the cache.
    """

    model: str
    config: str = ""
    assignments: tuple[str, ...] = ()
    trials: int | None = None
    searcher: str = "random"
    objective: str = ""
    seed: int = 42
    space: str = ""
    confirm_seeds: int = 0
    directory: str = ""
    searched: str = ""
    side: str = ""
    code: str = ""

    def custom_config(self) -> dict[str, str]:
        """Returns the settings as the Tuner's `custom_config` takes them."""
        return {"settings": json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def from_custom_config(cls, custom_config: Mapping[str, Any] | None) -> TunerSettings:
        """Returns the settings in a `custom_config`."""
        values = json.loads((custom_config or {}).get("settings", "{}"))
        if "model" not in values:
            raise ConfigError("The Tuner is not told which model to tune.", remedy="Use `TunerSettings`.")
        return cls(**{**values, "assignments": tuple(values.get("assignments", ()))})

    def search_settings(self, folder: Path) -> SearchSettings:
        """Returns the settings of the search.

        Args:
            folder: Where the text of the configuration is put.
        """
        file = None
        if self.config:
            file = folder / "given_config.yaml"
            file.write_text(self.config, encoding="utf-8")
        return SearchSettings(
            read_space(self.model, self.space or None),
            searcher=self.searcher,
            trials=self.trials,
            objective=self.objective,
            seed=self.seed,
            config_file=file,
            assignments=self.assignments,
            confirm_seeds=self.confirm_seeds,
        )


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Returns a tuner that searches on the transformed examples, splits `train` and `valid`.

    Args:
        fn_args: `FnArgs` of TFX; `train_args` and `eval_args` of the component name the splits.
    """
    settings = TunerSettings.from_custom_config(fn_args.custom_config)
    folder = Path(settings.directory or fn_args.working_dir)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = transformed_dataset(fn_args, folder / "dataset")
    if settings.directory:
        folder = folder / _key(settings, dataset)
        shutil.rmtree(folder / "dataset", ignore_errors=True)  # the same, but its shards may be links to nowhere
        folder.mkdir(exist_ok=True)
        dataset = type(dataset).open(Path(dataset.path).rename(folder / "dataset"))
    search = settings.search_settings(folder)
    tuner = PipelineTuner(search, folder / "search", str(dataset.path), Console(stderr=True, highlight=False))
    return TunerFnResult(tuner=tuner, fit_kwargs={})


def _key(settings: TunerSettings, dataset: InteractionDataset | ImpressionDataset) -> str:
    """Tells searches apart; trials may be added to one, and its winner confirmed."""
    decided = {name: value for name, value in asdict(settings).items() if name not in ("trials", "confirm_seeds")}
    text = json.dumps([decided, data_hash(dataset_fingerprint(dataset))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
