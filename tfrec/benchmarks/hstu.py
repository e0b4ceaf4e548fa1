"""HSTU training beside SASRec of the same width and depth, and what both need of memory as sequences grow."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.benchmarks.own_process import OwnProcess, TimedCase
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.config.hstu_config import HSTUConfig
from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.models.hstu import HSTU
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.optimizers.build import build_sequence_optimizer

SYSTEMS = ("SASRec", "HSTU", "HSTU, relative bias", "HSTU, rotary time")
_MEGABYTE = 1024.0  # in the unit of the kernel, kilobytes
_LARGEST_GROWTH = 2.6


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        dim: Width of the models.
        blocks: Layers.
        heads: Attention heads.
        lengths: Events of a sequence in the timed steps.
        tokens: Events of a step; so many sequences as that makes.
        items: Items of the catalogue.
        num_negatives: Sampled ids per step.
        steps: Timed steps per repetition.
        memory_lengths: Events of a sequence in the steps whose memory is measured, each twice the one before.
        memory_rows: Sequences of these steps.
        repetitions: Rounds.
    """

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    lengths: tuple[int, ...] = (50, 200, 1000)
    tokens: int = 10_000
    items: int = 20_000
    num_negatives: int = 256
    steps: int = 8
    memory_lengths: tuple[int, ...] = (1000, 2000, 4000)
    memory_rows: int = 4
    repetitions: int = 3


FULL = Settings()
QUICK = Settings(lengths=(50, 200), tokens=2000, steps=2, memory_lengths=(1000, 2000), memory_rows=2, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Times training steps of all systems at each length, in turns, and measures the peak memory of single steps."""
    del scratch
    title = "HSTU training beside SASRec of equal width and depth"
    report = BenchmarkReport("hstu", title, settings.repetitions, asdict(settings))
    report.notes.append(
        "Whole training steps (gradients and update) on full sequences, softmax over sampled items; every system in a "
        "process of its own. Memory: growth of the largest resident size over that of a step with 8 events."
    )
    sizes = asdict(settings)
    for length in settings.lengths:
        group = f"length {length:,}"
        cases = {name: OwnProcess(speed_case, name, length, sizes) for name in SYSTEMS}
        for name, rates in take_turns(cases, settings.repetitions).items():
            report.add(group, name, "tokens/s", rates, relative_to=SYSTEMS[0] if name != SYSTEMS[0] else "")
            losses = cases[name].losses
            report.check(losses[-1] < losses[0], f"{group}: the loss of {name} falls")
            cases[name].close()
    for name in SYSTEMS:
        peaks = []
        for length in settings.memory_lengths:
            process = OwnProcess(memory_case, name, length, sizes)
            peaks.append(process())
            process.close()
            group = f"memory of {settings.memory_rows} sequences"
            report.add(group, f"{name}, length {length:,}", "MB", [peaks[-1]] * settings.repetitions)
        if name != SYSTEMS[0]:
            for before, after in itertools.pairwise(peaks):
                linear = after < _LARGEST_GROWTH * max(before, 1.0)
                report.check(linear, f"{name}: twice the length needs no more than {_LARGEST_GROWTH} times the memory")
    return report


def speed_case(name: str, length: int, sizes: dict[str, Any]) -> TimedCase:
    """Returns a case that takes some training steps and tells tokens per second."""
    step = _training_step(name, length, sizes)
    batch = _batch(max(1, sizes["tokens"] // length), length, sizes["items"])
    losses: list[float] = []

    def case() -> tuple[float, list[float]]:
        started = time.perf_counter()
        for _ in range(sizes["steps"]):
            losses.append(float(step(batch)))
        elapsed = time.perf_counter() - started
        return sizes["steps"] * int(batch["item"].shape[0]) * length / elapsed, losses

    return case


def memory_case(name: str, length: int, sizes: dict[str, Any]) -> TimedCase:
    """Returns a case that takes one step and tells by how many megabytes the peak grew."""
    step = _training_step(name, length, sizes)
    step(_batch(sizes["memory_rows"], 8, sizes["items"]))
    batch = _batch(sizes["memory_rows"], length, sizes["items"])

    def case() -> tuple[float, list[float]]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        loss = float(step(batch))
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / _MEGABYTE, [loss]

    return case


def _training_step(name: str, length: int, sizes: dict[str, Any]) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    model = _model(name, length, sizes)
    counts = np.r_[0, 0, np.ones(sizes["items"], np.int64)]
    objective = SequenceObjectiveConfig(
        loss="sampled-softmax", sampler="uniform", num_negatives=sizes["num_negatives"], logq="none"
    )
    model.prepare_training(SequenceObjective(objective, counts))
    optimizer = build_sequence_optimizer(SequenceOptimizerConfig(), model.trainable_variables, 1)
    model.compile(optimizer=optimizer, jit_compile=False)
    spec = {
        "item": tf.TensorSpec([None, None], tf.int32),
        "timestamp": tf.TensorSpec([None, None], tf.int64),
        "length": tf.TensorSpec([None], tf.int32),
    }

    @tf.function(input_signature=[spec], autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        model.reset_metrics()
        return model.train_step(batch)["loss"]

    found: Callable[[dict[str, tf.Tensor]], tf.Tensor] = step
    return found


def _model(name: str, length: int, sizes: dict[str, Any]) -> SequenceEncoder:
    same = {"dim": sizes["dim"], "blocks": sizes["blocks"], "heads": sizes["heads"], "max_length": length}
    if name == "SASRec":
        return SASRec(SASRecConfig(**same), sizes["items"] + 2, seed=1)
    biased, rotary = name.endswith("bias"), name.endswith("time")
    config = HSTUConfig(**same, relative_positions=biased, relative_times=biased, rotary_time=rotary)
    return HSTU(config, sizes["items"] + 2, seed=1)


def _batch(rows: int, length: int, items: int) -> dict[str, tf.Tensor]:
    """Sequences of `length` events and one target more."""
    random = np.random.default_rng(0)
    item = random.integers(2, items + 2, (rows, length + 1)).astype(np.int32)
    times = np.cumsum(random.integers(1, 10**7, (rows, length + 1)), axis=1)
    return {"item": tf.constant(item), "timestamp": tf.constant(times), "length": tf.fill([rows], length + 1)}
