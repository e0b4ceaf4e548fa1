"""Benchmarks by name."""

from __future__ import annotations

import dataclasses
import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

from tfrec.benchmarks.report import BenchmarkReport
from tfrec.errors import ConfigError, did_you_mean

BENCHMARKS = {
    "gru4rec_training": "GRU4Rec training beside a stock Keras fit of the same model",
    "sasrec_training": "SASRec training beside a stock Keras fit of the same model; sampled softmax at a million items",
    "hstu": "HSTU training beside SASRec at several lengths; peak memory against length",
    "moe": "mixture of 32 experts: the two selected ones per token beside all of them",
    "vocabulary_scaling": "time of a training step at 1, 10 and 100 times the vocabulary",
    "feseq": "FESeq training and inference beside the same model of stock Keras layers; memory",
    "impression_conversion": "impressions of 119 columns from Parquet to a dataset, and read back",
    "conversion": "Parquet to dataset end to end; encoding and writing alone",
    "reading": "sequences read in order, shuffled, and bucketed by length",
    "top_k": "the best of a million items by exact and IVF index, saved and loaded, beside faiss-cpu",
    "evaluation": "exact full ranking beside faiss-cpu's IndexFlatIP",
    "redis_publish": "vectors into Redis beside redis-py's SET and MSET loops",
}


def check_names(names: list[str]) -> None:
    """Raises ConfigError for a name that is no benchmark."""
    for name in names:
        if name not in BENCHMARKS:
            raise ConfigError(f"Unknown benchmark `{name}`.", remedy=did_you_mean(name, BENCHMARKS))


def run_benchmark(name: str, *, quick: bool = False, changes: dict[str, Any] | None = None) -> BenchmarkReport:
    """Runs one benchmark in a temporary directory.

    Every module of this package that is named in `BENCHMARKS` has settings `FULL` and `QUICK` (a frozen dataclass)
    and `run(settings, scratch)`.

    Args:
        name: A key of `BENCHMARKS`.
        quick: Small sizes and few repetitions.
        changes: Settings to replace.

    Raises:
        ConfigError: The name is unknown.
        TfrecError: What was timed turned out wrong.
    """
    check_names([name])
    module = importlib.import_module(f"tfrec.benchmarks.{name}")
    settings = dataclasses.replace(module.QUICK if quick else module.FULL, **(changes or {}))
    with tempfile.TemporaryDirectory(prefix="tfrec-bench-") as scratch:
        started = time.perf_counter()
        report: BenchmarkReport = module.run(settings, Path(scratch))
        report.seconds = time.perf_counter() - started
    return report
