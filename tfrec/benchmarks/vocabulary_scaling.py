"""Time of a GRU4Rec training step as the vocabulary grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.block_clock import BlockClock
from tfrec.benchmarks.gru4rec_training import LANES, PARAMS, own_model, stock_loss, stock_model, timed_fit
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import session_lengths, zipf_items
from tfrec.config.gru4rec_config import GRU4RecConfig, parse_official_params
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.data.pipeline_options import with_pipeline_options
from tfrec.data.session_blocks import SessionBlock, session_blocks
from tfrec.losses.candidate_objective import CandidateObjective

_FIRST_INDEX = 2


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        items: Catalogues of our model; times are compared with the first.
        keras_items: Catalogues of the Keras model, of those in `items`.
        block_steps: Mini-batches per block.
        blocks: Timed blocks per repetition.
        keras_steps: Timed mini-batches per repetition of the Keras model.
        repetitions: Rounds.
    """

    items: tuple[int, ...] = (30_000, 300_000, 3_000_000)
    keras_items: tuple[int, ...] = (30_000, 300_000)
    block_steps: int = 50
    blocks: int = 6
    keras_steps: int = 8
    repetitions: int = 7


FULL = Settings()
QUICK = Settings(items=(30_000, 300_000), keras_items=(30_000,), blocks=4, keras_steps=8, repetitions=3)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Trains models of all sizes in turns."""
    del scratch
    report = BenchmarkReport(
        "vocabulary_scaling",
        "Time of a training step by vocabulary",
        settings.repetitions,
        {**asdict(settings), "params": PARAMS["cross-entropy"]},
    )
    report.notes.append(
        "Median block (ours) or mini-batch (Keras); below 1.3 x at ten times the vocabulary is the aim. Three million "
        "items of width 100 take 4 GB with their accumulators and velocities."
    )
    cases = [case for items in settings.items for case in _cases(items, settings)]
    rates = take_turns({case.name: case.measure for case in cases}, settings.repetitions)
    for system in dict.fromkeys(case.system for case in cases):
        of_system = [case for case in cases if case.system == system]
        first = of_system[0]
        for case in of_system:
            times = [1000.0 / rate for rate in rates[case.name]]
            relative = "" if case is first else first.size
            report.add(system, case.size, "ms per mini-batch", times, relative_to=relative)
    for case in cases:
        losses = case.clock.losses
        report.check(
            bool(np.isfinite(losses).all()) and losses[-1] < losses[0],
            f"{case.name}: loss is finite and falls ({losses[0]:.3f} to {losses[-1]:.3f})",
        )
    return report


class _Case(NamedTuple):
    system: str
    items: int
    measure: Callable[[], float]
    clock: BlockClock

    @property
    def size(self) -> str:
        return f"{self.items:,} items"

    @property
    def name(self) -> str:
        return f"{self.system}: {self.size}"


def _cases(items: int, settings: Settings) -> list[_Case]:
    """Our model and, for the smaller catalogues, the Keras model, over the same blocks."""
    blocks, counts = _blocks(items, settings)
    sections = parse_official_params(PARAMS["cross-entropy"])
    config, optimizer = GRU4RecConfig(**sections["model"]), OptimizerConfig(**sections["optimizer"])
    objective = CandidateObjective(ObjectiveConfig(**sections["objective"]), counts)
    clock = BlockClock()
    ours = own_model(config, objective, optimizer, len(counts))
    fit = timed_fit(ours, _block_batches(blocks), clock, settings.blocks + 1, settings.block_steps)
    cases = [_Case("tfrec", items, fit, clock)]
    if items in settings.keras_items:
        clock = BlockClock()
        theirs, batches = stock_model(config, objective, counts, blocks)
        theirs.compile(optimizer=keras.optimizers.Adagrad(optimizer.learning_rate), loss=stock_loss(objective))
        cases.append(_Case("Keras fit", items, timed_fit(theirs, batches, clock, settings.keras_steps + 1, 1), clock))
    return cases


def _blocks(items: int, settings: Settings) -> tuple[list[SessionBlock], NDArray[np.int64]]:
    """Full blocks of Zipf sessions, and the counts of the log that they stand for: more events than items."""
    wanted = settings.blocks + 1
    events = 2 * wanted * settings.block_steps * LANES
    lengths = session_lengths(events // 5, 5.0, seed=0)
    ids = zipf_items(int(lengths.sum()), items, seed=1) + _FIRST_INDEX
    blocks = []
    for block in session_blocks([(ids, lengths)], LANES, settings.block_steps):
        blocks.append(block)
        if len(blocks) == wanted:
            break
    expected = 10.0 * items / (np.arange(1, items + 1) * np.log(items))
    counts = np.concatenate([np.zeros(_FIRST_INDEX), np.maximum(np.round(expected), 1.0)]).astype(np.int64)
    return blocks, counts


def _block_batches(blocks: list[SessionBlock]) -> tf.data.Dataset:
    names = ("inputs", "targets", "starts", "active")
    arrays = {name: np.stack([getattr(block, name) for block in blocks]) for name in names}
    steps = np.array([block.num_steps for block in blocks], np.int32)
    return with_pipeline_options(tf.data.Dataset.from_tensor_slices({**arrays, "num_steps": steps}).prefetch(2))
