"""The data of runs without `--data`: the built-in clickstream, converted like any other log."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import parse_options
from tfrec.data.dataset import InteractionDataset
from tfrec.data.synthetic import Clickstream, write_clickstream
from tfrec.evaluation.clickstream_optimum import OracleScorer


def synthetic_dataset(config: ClickstreamConfig, folder: Path, console: Console) -> InteractionDataset:
    """Generates the clickstream and converts it, unless `folder` holds it already.

    The log itself is kept beside the dataset as `clickstream.parquet`. Its last day is the test split, the day before
    that the validation split.

    Args:
        config: Size and dynamics; fixes the data.
        folder: Dataset directory to write.
        console: For progress.
    """
    if not folder.exists():
        with console.status("Generating the synthetic clickstream"):
            log = folder.with_name("clickstream.parquet")
            write_clickstream(log, config)
            convert(
                parse_options(
                    input=(str(log),),
                    output=str(folder),
                    session_col="session_id",
                    item_col="item_id",
                    time_col="timestamp",
                    time_unit="s",
                    split="session_time",
                    test_days=1,
                    valid_days=1,
                    resume=folder.with_name(folder.name + ".partial").exists(),
                )
            )
    return InteractionDataset.open(folder)


def optimum_scorer(config: ClickstreamConfig, dataset: InteractionDataset) -> OracleScorer:
    """Returns the scorer that knows the true probabilities: no model can be better on average."""
    return OracleScorer(Clickstream(config), dataset.item_vocabulary.ids)
