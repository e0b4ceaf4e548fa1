"""The data of a search: of the kind that its model reads, with a split to validate on."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tfrec.config.run_config import ImpressionRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import DataError
from tfrec.training.synthetic_data import synthetic_dataset
from tfrec.training.synthetic_impressions import synthetic_impressions
from tfrec.tuning.search_settings import SPLIT, SearchSettings

SearchData = InteractionDataset | ImpressionDataset


def open_data(settings: SearchSettings, path: str) -> SearchData:
    """Opens a dataset directory of the kind that the model reads.

    Raises:
        DataError: It is missing, damaged or of the other kind.
    """
    return ImpressionDataset.open(path) if settings.clicks else InteractionDataset.open(path)


def check_splits(dataset: SearchData) -> None:
    """Raises DataError unless trials can be measured without the test split."""
    if SPLIT not in dataset.splits:
        raise DataError(
            f"The data set has no split `{SPLIT}`; it has {', '.join(f'`{name}`' for name in dataset.splits)}. "
            "Trials are never measured on `test`: the best of many would look better than it is.",
            file=dataset.path,
            remedy="Convert the data again with a validation split: `--valid-days 1`, `--valid-fraction 0.1` or "
            "`--valid FILE`, whichever goes with the split rule.",
        )


def synthetic_data(settings: SearchSettings, folder: Path, console: Console) -> SearchData:
    """Makes the data of a search without `--data` unless `folder` holds them; lists are as long as any trial reads."""
    config = settings.default_config()
    if not isinstance(config, ImpressionRunConfig):
        return synthetic_dataset(config.data.synthetic, folder, console)
    lengths = [value for p in settings.space.parameters if p.key == "model.max_length" for value in p.probes()]
    preset = getattr(config.model, "max_length", None)
    most = None if preset is None else max([preset, *lengths])
    dataset, _ = synthetic_impressions(config.data.synthetic, folder, console, max_length=most, seed=config.seed)
    return dataset
