"""GRU4Rec training beside stock Keras `fit`: the same algorithm, built-in parts only, and a full softmax."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tfrec.benchmarks.block_clock import BlockClock
from tfrec.benchmarks.gru4rec_cases import (
    FULL_SOFTMAX,
    KERAS_SYSTEMS,
    LANES,
    PARAMS,
    keras_system,
    own_model,
    setting,
    timed_fit,
)
from tfrec.benchmarks.matrix_products import matrix_products_case
from tfrec.benchmarks.own_process import OwnProcess, TimedCase
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.same_steps import compare_steps
from tfrec.benchmarks.zipf_log import zipf_dataset
from tfrec.data.block_pipeline import session_block_dataset
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.session_blocks import SessionBlock
from tfrec.data.sources.prepare import prepare
from tfrec.data.sources.registry import public_dataset

_OURS, _UNTUNED = "tfrec", "tfrec, untuned process"
_FLOOR = "floor: its matrix products alone"


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        losses: Keys of `PARAMS`.
        items: Catalogues of the synthetic logs. All losses are trained on the first, the first loss on the others.
        events_per_item: Events of a synthetic log.
        real_data: Also train on yoochoose-100k where it is at hand (`TFREC_DATA`, or `../shared/data`).
        block_steps: Mini-batches per block.
        blocks: Timed blocks per repetition.
        keras_systems: Those of `KERAS_SYSTEMS` to compare with.
        keras_block_steps: Mini-batches per block of the Keras models.
        keras_blocks: Timed blocks per repetition of the Keras models.
        repetitions: Rounds.
    """

    losses: tuple[str, ...] = ("cross-entropy", "bpr-max")
    items: tuple[int, ...] = (30_000, 300_000)
    events_per_item: int = 6
    real_data: bool = True
    block_steps: int = 50
    blocks: int = 10
    keras_systems: tuple[str, ...] = tuple(KERAS_SYSTEMS)
    keras_block_steps: int = 4
    keras_blocks: int = 5
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(items=(30_000,), events_per_item=4, real_data=False, blocks=6, keras_blocks=3, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Trains all systems in turns on the same sessions and compares their mini-batches per second."""
    report = BenchmarkReport(
        "gru4rec_training", "GRU4Rec training", settings.repetitions, {**asdict(settings), "params": PARAMS}
    )
    report.notes += [
        "Rate of the median block or group of mini-batches, inside fit. tfrec: blocks read from the data set on disk; "
        f"`{_OURS}` in a process of its own with the settings of `tfrec.train`, `{_UNTUNED}` in the process of the "
        "Keras models, with TensorFlow's own.",
        f"`{_FLOOR}`: products and row reads of the same mini-batch in a loop, without activation, loss, optimiser, "
        "sampling and input; in a process like tfrec's.",
        *(f"{name}: {KERAS_SYSTEMS[name]}." for name in settings.keras_systems),
    ]
    for number, items in enumerate(settings.items):
        dataset = zipf_dataset(scratch / f"zipf-{items}", settings.events_per_item * items, items, 5.0)
        for loss in settings.losses if number == 0 else settings.losses[:1]:
            _compare(report, settings, dataset, f"zipf {items:,} items, {loss}", loss)
    if settings.real_data and (folder := _real_data()) is not None:
        dataset = _convert_yoochoose(folder, scratch)
        for loss in settings.losses:
            _compare(report, settings, dataset, f"yoochoose-100k, {loss}", loss)
    return report


def own_case(path: str, loss: str, blocks: int, block_steps: int) -> TimedCase:
    """Returns a function that fits our model to blocks of a data set, for this process or one of its own."""
    dataset = InteractionDataset.open(path)
    model, _ = own_model(setting(loss), dataset.item_vocabulary.counts)
    clock = BlockClock()
    batches = session_block_dataset(dataset, "train", LANES, block_steps)
    measure = timed_fit(model, batches, clock, blocks, block_steps)
    return lambda: (measure(), clock.losses)


def _compare(report: BenchmarkReport, settings: Settings, dataset: InteractionDataset, group: str, loss: str) -> None:
    chosen, counts = setting(loss), dataset.item_vocabulary.counts
    stream = session_block_dataset(dataset, "train", LANES, settings.block_steps).as_numpy_iterator()
    blocks = [SessionBlock(**block) for block in itertools.islice(stream, settings.blocks + 1)]
    report.check(
        len(blocks) > settings.blocks and all(block.active.all() for block in blocks),
        f"{group}: every lane of every timed mini-batch holds an event",
    )
    agreement = compare_steps(chosen, counts, blocks[0])
    report.check(
        agreement.holds,
        f"{group}: losses of two steps without drop-out are the same as with Keras ({agreement.own_losses}, "
        f"{agreement.keras_losses}), and so are all weights after them (within {agreement.weights:.1e})",
    )

    losses: dict[str, list[float]] = {}
    cases: dict[str, Callable[[], float]] = {}
    for name in settings.keras_systems:
        if name == FULL_SOFTMAX and loss != "cross-entropy":
            continue
        model, batches = keras_system(name, chosen, counts, blocks)
        clock = BlockClock(settings.keras_block_steps)
        losses[name] = clock.losses
        cases[name] = timed_fit(model, batches, clock, settings.keras_blocks + 1, settings.keras_block_steps)
    arguments = str(dataset.path), loss, settings.blocks + 1, settings.block_steps
    untuned, tuned = own_case(*arguments), OwnProcess(own_case, *arguments)
    candidates = LANES + chosen.objective.num_negatives
    floor = OwnProcess(
        matrix_products_case, len(counts), LANES, chosen.model.layers[0], candidates, settings.block_steps
    )
    cases[_UNTUNED], cases[_OURS], cases[_FLOOR] = _rate_of(untuned, losses, _UNTUNED), tuned, floor
    try:
        rates = take_turns(cases, settings.repetitions)
    finally:
        tuned.close()
        floor.close()
    losses[_OURS] = tuned.losses
    for name in losses:
        report.check(
            bool(np.isfinite(losses[name]).all()) and losses[name][-1] < losses[name][0],
            f"{group}: loss of {name} is finite and falls ({losses[name][0]:.3f} to {losses[name][-1]:.3f})",
        )
    for unit, factor in (("mini-batches/s", 1), ("events/s", LANES)):
        for name in cases:
            report.add(group, name, unit, [factor * rate for rate in rates[name]])
    for name in cases:
        if name != _OURS:
            times = [ours / other for ours, other in zip(rates[_OURS], rates[name], strict=True)]
            report.add(group, f"over {name}", "times as fast", times)


def _rate_of(case: TimedCase, losses: dict[str, list[float]], name: str) -> Callable[[], float]:
    def measure() -> float:
        rate, losses[name] = case()
        return rate

    return measure


def _real_data() -> Path | None:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("TFREC_DATA", root.parent / "shared" / "data")) / "yoochoose-100k"
    return folder if folder.is_dir() else None


def _convert_yoochoose(folder: Path, scratch: Path) -> InteractionDataset:
    source = public_dataset("yoochoose-100k")
    prepare(source, folder, scratch / "yoochoose.parquet")
    recipe = source.recipe_for(follow_scripts=False)
    options = {} if recipe is None else recipe.options()
    output = scratch / "yoochoose"
    convert(ConversionOptions(input=(str(scratch / "yoochoose.parquet"),), output=str(output), **options))
    return InteractionDataset.open(output)
