"""Time of a GRU4Rec training step as the vocabulary grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.block_clock import BlockClock
from tfrec.benchmarks.gru4rec_cases import LANES, PARAMS, SAME_ALGORITHM, keras_system, own_model, setting, timed_fit
from tfrec.benchmarks.own_process import OwnProcess, TimedCase
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import session_lengths, zipf_items
from tfrec.data.pipeline_options import with_pipeline_options
from tfrec.data.session_blocks import SessionBlock, session_blocks

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
        "items of width 100 take 4 GB with their accumulators and velocities. Each of our models has a process of its "
        "own, with the settings of `tfrec.train`."
    )
    cases = [case for items in settings.items for case in _cases(items, settings)]
    try:
        rates = take_turns({case.name: case.measure for case in cases}, settings.repetitions)
    finally:
        for case in cases:
            if isinstance(case.measure, OwnProcess):
                case.measure.close()
    for system in dict.fromkeys(case.system for case in cases):
        of_system = [case for case in cases if case.system == system]
        first = of_system[0]
        for case in of_system:
            times = [1000.0 / rate for rate in rates[case.name]]
            relative = "" if case is first else first.size
            report.add(system, case.size, "ms per mini-batch", times, relative_to=relative)
    for case in cases:
        losses = case.losses()
        report.check(
            bool(np.isfinite(losses).all()) and losses[-1] < losses[0],
            f"{case.name}: loss is finite and falls ({losses[0]:.3f} to {losses[-1]:.3f})",
        )
    return report


class _Case(NamedTuple):
    system: str
    items: int
    measure: Callable[[], float]
    losses: Callable[[], list[float]]

    @property
    def size(self) -> str:
        return f"{self.items:,} items"

    @property
    def name(self) -> str:
        return f"{self.system}: {self.size}"


def own_case(items: int, num_blocks: int, block_steps: int) -> TimedCase:
    """Returns a function that fits our model with a catalogue of `items`, for a process of its own."""
    blocks, counts = _blocks(items, num_blocks, block_steps)
    model, _ = own_model(setting("cross-entropy"), counts)
    clock = BlockClock()
    measure = timed_fit(model, _block_batches(blocks), clock, num_blocks, block_steps)
    return lambda: (measure(), clock.losses)


def _cases(items: int, settings: Settings) -> list[_Case]:
    """Our model and, for the smaller catalogues, the Keras model, over the same blocks."""
    sizes = settings.blocks + 1, settings.block_steps
    ours = OwnProcess(own_case, items, *sizes)
    cases = [_Case("tfrec", items, ours, lambda: ours.losses)]
    if items in settings.keras_items:
        blocks, counts = _blocks(items, *sizes)
        clock = BlockClock()
        theirs, batches = keras_system(SAME_ALGORITHM, setting("cross-entropy"), counts, blocks)
        fit = timed_fit(theirs, batches, clock, settings.keras_steps + 1, 1)
        cases.append(_Case(SAME_ALGORITHM, items, fit, lambda: clock.losses))
    return cases


def _blocks(items: int, wanted: int, block_steps: int) -> tuple[list[SessionBlock], NDArray[np.int64]]:
    """Full blocks of Zipf sessions, and the counts of the log that they stand for: more events than items."""
    events = 2 * wanted * block_steps * LANES
    lengths = session_lengths(events // 5, 5.0, seed=0)
    ids = zipf_items(int(lengths.sum()), items, seed=1) + _FIRST_INDEX
    blocks = []
    for block in session_blocks([(ids, lengths)], LANES, block_steps):
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
