"""The data of runs without `--data`: the built-in clickstream or behaviour log, converted like any other log."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tfrec.config.behavior_log_config import BehaviorLogConfig
from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.data.behavior_log import write_behavior_log
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import parse_options
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sources.tianchi import TIANCHI
from tfrec.data.synthetic import Clickstream, write_clickstream
from tfrec.evaluation.clickstream_optimum import OracleScorer


def synthetic_dataset(
    config: ClickstreamConfig | BehaviorLogConfig, folder: Path, console: Console
) -> InteractionDataset:
    """Generates the clickstream, or the behaviour log, and converts it, unless `folder` holds it already.

    The log itself is kept beside the dataset as `clickstream.parquet`; its last day is the test split, the day before
    that the validation split. Or as `behavior.parquet` with `items.parquet`; a tenth of the users are the test split,
    another tenth the validation split.

    Args:
        config: Size and dynamics; fixes the data.
        folder: Dataset directory to write.
        console: For progress.
    """
    if isinstance(config, BehaviorLogConfig):
        return _behavior_dataset(config, folder, console)
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


def _behavior_dataset(config: BehaviorLogConfig, folder: Path, console: Console) -> InteractionDataset:
    if not folder.exists():
        with console.status("Generating the synthetic behaviour log"):
            log, items = folder.with_name("behavior.parquet"), folder.with_name("items.parquet")
            write_behavior_log(log, items, config)
            recipe = TIANCHI.recipe_for(follow_scripts=False)
            options = {} if recipe is None else recipe.options(items=str(items))
            del options["time_unit"]
            resume = folder.with_name(folder.name + ".partial").exists()
            manifest = convert(
                parse_options(input=(str(log),), output=str(folder), time_col="time", resume=resume, **options)
            )
        shares = ", ".join(f"{part.sequences:,} in `{split}`" for split, part in manifest.splits.items())
        short = manifest.counts.dropped_sequences.get("before_split", 0)
        console.print(
            f"{config.num_users:,} users generated: {shares}; {short:,} with fewer than "
            f"{manifest.filters.min_seq_len} events are left out.",
            markup=False,
            soft_wrap=True,
        )
    return InteractionDataset.open(folder)


def optimum_scorer(config: ClickstreamConfig, dataset: InteractionDataset) -> OracleScorer:
    """Returns the scorer that knows the true probabilities: no model can be better on average."""
    return OracleScorer(Clickstream(config), dataset.item_vocabulary.ids)
