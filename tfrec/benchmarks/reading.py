"""Sequences per second that the input pipeline delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import tensorflow as tf

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import zipf_dataset
from tfrec.data.sequence_pipeline import sequence_dataset

_ITEMS = 50_000
_MODES = {
    "in order": {},
    "shuffled": {"shuffle": True},
    "shuffled, bucketed": {"shuffle": True, "bucket_by_length": True},
}


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        mean_lengths: Mean events per sequence of the data sets.
        sequences: Sequences of each data set.
        batch_size: Sequences per batch.
        repetitions: Rounds.
    """

    mean_lengths: tuple[float, ...] = (20.0, 50.0)
    sequences: int = 60_000
    batch_size: int = 512
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(sequences=20_000, repetitions=3)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Reads whole data sets in every mode, in turns."""
    report = BenchmarkReport("reading", "Reading, parsing, padding", settings.repetitions, asdict(settings))
    report.notes.append(
        "One pass over the data set, from opening the files to the last batch; files in the page cache."
    )
    for length in settings.mean_lengths:
        dataset = zipf_dataset(scratch / f"{length:g}", round(settings.sequences * length), _ITEMS, length)
        total = dataset.num_sequences("train")
        modes = {
            name: sequence_dataset(dataset, "train", settings.batch_size, **options) for name, options in _MODES.items()
        }
        sums = {name: _content(batches) for name, batches in modes.items()}
        report.check(
            set(sums.values()) == {(total, dataset.num_events("train"), sums["in order"][2])},
            f"mean length {length:g}: every mode delivers all {total:,} sequences with the same events",
        )
        cases = {name: _pass_over(batches, total) for name, batches in modes.items()}
        rates = take_turns(cases, settings.repetitions, warm_up=False)
        for name, values in rates.items():
            relative = "" if name == "in order" else "in order"
            report.add(f"mean length {length:g}", name, "sequences/s", values, relative_to=relative)
    return report


def _pass_over(batches: tf.data.Dataset, sequences: int) -> Callable[[], float]:
    def read() -> None:
        for _ in batches:
            pass

    return lambda: sequences / seconds(read)


def _content(batches: tf.data.Dataset) -> tuple[int, int, int]:
    """Sequences, events and the sum of all items."""
    sequences = events = items = 0
    for batch in batches:
        sequences += int(batch["length"].shape[0])
        events += int(tf.reduce_sum(batch["length"]))
        items += int(tf.reduce_sum(tf.cast(batch["item"], tf.int64)))
    return sequences, events, items
