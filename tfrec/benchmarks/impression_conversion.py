"""Impressions of 119 columns from Parquet to a dataset directory."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.data.impressions.impression_batches import impression_batches
from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.impression_world import ImpressionWorld

_MEDIAN_OF_MEAN_500 = 380.0  # with the spread of the generator's lengths
_ROLES = {
    "label": "clicked",
    "categorical": ["gender", "age_group", "inventory_id", "day_of_week", "hour"],
    "numeric": ["l_feat_*", "feat_e_*", "feat_d_*", "feat_c_*", "feat_b_*", "feat_a_*"],
    "sequence": ["seq"],
}


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        rows: Rows that are converted and read.
        median_length: Median length of the lists; 380 makes a mean of 500.
        repetitions: Rounds.
    """

    rows: int = 100_000
    median_length: float = _MEDIAN_OF_MEAN_500
    repetitions: int = 3


FULL = Settings()
QUICK = Settings(rows=10_000, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Converts a generated log, both passes included, and reads the training split."""
    report = BenchmarkReport(
        "impression_conversion", "Conversion of impressions", settings.repetitions, asdict(settings)
    )
    report.notes.append("119 columns, of which 82 are used; lists of mean length 500 as text; page cache warm.")
    log, output = scratch / "log.parquet", scratch / "DS"
    world = ImpressionWorldConfig(num_rows=settings.rows, median_length=settings.median_length)
    started = time.perf_counter()
    ImpressionWorld(world).write(log)
    report.notes.append(f"The log was generated at {settings.rows / (time.perf_counter() - started):,.0f} rows/s.")
    options = impression_options(output=str(output), impressions=_ROLES, input=(str(log),), split="tail")

    def convert() -> float:
        shutil.rmtree(output, ignore_errors=True)
        return settings.rows / seconds(lambda: convert_impressions(options))

    def read() -> float:
        dataset = ImpressionDataset.open(output)
        rows = dataset.num_rows("train")
        batches = impression_batches(dataset, "train", 256, shuffle=True)
        return rows / seconds(lambda: sum(1 for _ in batches))

    rates = take_turns({"convert": convert, "read shuffled": read}, settings.repetitions)
    for case, values in rates.items():
        report.add("", case, "rows/s", values)
    dataset = ImpressionDataset.open(output)
    converted = sum(dataset.num_rows(split) for split in dataset.splits)
    report.check(converted == settings.rows, f"all {settings.rows:,} rows are in the dataset")
    return report
