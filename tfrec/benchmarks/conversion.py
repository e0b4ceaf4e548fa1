"""Parquet to a dataset directory, end to end and the last step alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import session_lengths, zipf_items, zipf_log
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.example_encoder import ExampleEncoder, NumpyEncoder, TfxBslEncoder
from tfrec.data.shard_bounds import shard_bounds
from tfrec.data.shard_writer import ShardWriter

_MEAN_LENGTH = 20.0
_ITEMS = 50_000
_BATCH = 1 << 14


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        events: Events of the log that is converted.
        sequences: Sequences that are encoded and written.
        repetitions: Rounds.
    """

    events: int = 2_000_000
    sequences: int = 100_000
    repetitions: int = 3


FULL = Settings()
QUICK = Settings(events=200_000, sequences=20_000, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Converts logs with integer and with string ids, then encodes and writes sequences, with every encoder."""
    report = BenchmarkReport("conversion", "Conversion of a Parquet log", settings.repetitions, asdict(settings))
    report.notes.append(
        "The log is in the page cache; the dataset is written to the temporary directory of the system."
    )
    encoders: dict[str, ExampleEncoder] = {"numpy": NumpyEncoder()}
    try:
        encoders["tfx_bsl"] = TfxBslEncoder()
    except ImportError:
        report.notes.append("tfx_bsl is not installed: only the numpy encoder was timed.")
    _end_to_end(report, settings, encoders, scratch)
    _encode_and_write(report, settings, encoders, scratch)
    return report


def _end_to_end(
    report: BenchmarkReport, settings: Settings, encoders: dict[str, ExampleEncoder], scratch: Path
) -> None:
    rows = 0
    for kind in ("int", "string"):
        log = zipf_log(settings.events, _ITEMS, _MEAN_LENGTH, string_ids=kind == "string")
        pq.write_table(log, scratch / f"{kind}.parquet")
        rows = log.num_rows

    def case(kind: str, name: str) -> Callable[[], float]:
        options = ConversionOptions(
            input=(str(scratch / f"{kind}.parquet"),),
            output=str(scratch / f"{kind} ids, {name}"),
            session_col="session_id",
            time_unit="ms",
        )

        def measure() -> float:
            shutil.rmtree(options.output, ignore_errors=True)
            return rows / seconds(lambda: convert(options, encoder=encoders[name]))

        return measure

    cases = {f"{kind} ids, {name}": case(kind, name) for kind in ("int", "string") for name in encoders}
    rates = take_turns(cases, settings.repetitions, warm_up=False)
    for name in cases:
        dataset = InteractionDataset.open(scratch / name)
        counts = dataset.manifest.counts
        stored = sum(dataset.load_ragged(split).items.size for split in dataset.splits)
        report.check(
            counts.events + sum(counts.dropped_events.values()) == rows and stored == counts.events,
            f"{name}: {stored:,} events read back and {rows - stored:,} dropped make the {rows:,} of the log",
        )
    first = next(iter(cases))
    for name, values in rates.items():
        report.add("end to end", name, "events/s", values, relative_to="" if name == first else first)


def _encode_and_write(
    report: BenchmarkReport, settings: Settings, encoders: dict[str, ExampleEncoder], scratch: Path
) -> None:
    lengths = session_lengths(settings.sequences, _MEAN_LENGTH, seed=0)
    items = zipf_items(int(lengths.sum()), _ITEMS, seed=1) + 2
    times = 1_600_000_000_000 + np.arange(len(items))
    events = pa.table({"item": items, "timestamp": times}).to_batches(_BATCH)
    sequences = np.arange(settings.sequences)
    contexts = pa.table({"user_id": sequences, "length": lengths, "num_targets": lengths - 1}).to_batches(_BATCH)
    root = scratch / "shards"
    bounds = shard_bounds(settings.sequences, None)

    def case(encoder: ExampleEncoder) -> Callable[[], float]:
        def measure() -> float:
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            writer = ShardWriter(root, "train", bounds, "none", encoder, root / "journal")
            return settings.sequences / seconds(lambda: writer.write(iter(contexts), iter(events), lambda count: None))

        return measure

    def written() -> tuple[int, int]:
        """Number of sequences on disk and the sum of their items."""
        spec = {"item": tf.io.RaggedFeature(tf.int64)}
        paths = sorted(str(path) for path in (root / "train").iterdir())
        parsed = [tf.io.parse_example(batch, spec)["item"] for batch in tf.data.TFRecordDataset(paths).batch(_BATCH)]
        return sum(int(part.nrows()) for part in parsed), sum(int(tf.reduce_sum(part.flat_values)) for part in parsed)

    cases = {name: case(encoder) for name, encoder in encoders.items()}
    for name, measure in cases.items():
        measure()
        report.check(
            written() == (settings.sequences, int(items.sum())),
            f"{name}: what was written reads back to the same items",
        )
    rates = take_turns(cases, settings.repetitions, warm_up=False)
    for name, values in rates.items():
        relative = "" if name == "numpy" else "numpy"
        report.add("encode and write", name, "sequences/s", values, relative_to=relative)
