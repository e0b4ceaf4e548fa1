"""SASRec training beside a stock Keras `fit` of the same model, and its step time with a large catalogue."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.keras_sasrec import KerasSASRec, copy_weights, left_padded
from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import zipf_dataset
from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.sources.prepare import prepare
from tfrec.data.sources.registry import public_dataset
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.models.sasrec import SASRec
from tfrec.optimizers.build import build_sequence_optimizer

_LEARNING_RATE = 0.001


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        dim: Width of the model.
        blocks: Transformer blocks.
        heads: Attention heads.
        length: Most recent events that are read.
        dropout: Drop-out rate.
        batch_size: Sequences per step.
        steps: Timed steps of ours per repetition.
        keras_steps: Timed steps of the Keras model per repetition.
        num_negatives: Sampled ids per step with the sampled softmax.
        small: Items of the small synthetic catalogue of the sampled softmax.
        large: Items of the large one.
        real_data: Train on Amazon Beauty where it is at hand (`TFREC_DATA`, or `../shared/data`).
        repetitions: Rounds.
    """

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.2
    batch_size: int = 128
    steps: int = 40
    keras_steps: int = 2
    num_negatives: int = 2048
    small: int = 12_000
    large: int = 1_000_000
    real_data: bool = True
    repetitions: int = 3


FULL = Settings()
QUICK = Settings(steps=10, keras_steps=1, large=200_000, real_data=False, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Compares real (unpadded) targets per second with a full softmax, then step times with a sampled one."""
    report = BenchmarkReport("sasrec_training", "SASRec training", settings.repetitions, asdict(settings))
    report.notes.append(
        "Targets/s: real events predicted per second; padding does not count. Both train on the same sequences with "
        "the same architecture, drop-out and softmax over the whole catalogue. Keras: batches padded on the left to "
        "the full length, Embedding, MultiHeadAttention, Adam. Ours: batches of similar length, padding dropped "
        "before the softmax."
    )
    folder = _real_data() if settings.real_data else None
    name = "zipf" if folder is None else "beauty"
    dataset = zipf_dataset(scratch / "zipf", 80_000, 12_000, 7.0) if folder is None else _beauty(folder, scratch)
    _compare_with_keras(report, settings, dataset, name)
    _compare_catalogues(report, settings)
    return report


def _compare_with_keras(report: BenchmarkReport, settings: Settings, dataset: InteractionDataset, name: str) -> None:
    group = f"{name}, full softmax"
    batches = sequence_dataset(
        dataset,
        "train",
        settings.batch_size,
        shuffle=True,
        seed=1,
        max_length=settings.length + 1,
        bucket_by_length=True,
    )
    drawn = sequence_dataset(
        dataset, "train", settings.batch_size, shuffle=True, seed=2, max_length=settings.length + 1
    )
    padded = [left_padded(batch, settings.length) for batch in drawn.take(settings.keras_steps + 1)]
    vocab = dataset.item_vocabulary.size
    ours = own_model(settings, vocab, dataset.item_vocabulary.counts, "softmax")
    theirs = KerasSASRec(vocab, settings.length, settings.dim, settings.heads, settings.blocks, settings.dropout)
    theirs.compile(
        optimizer=keras.optimizers.Adam(_LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
    )
    _check_same_states(report, group, ours, theirs, drawn)

    losses: dict[str, list[float]] = {"tfrec": [], "Keras fit": []}

    def fit_ours() -> float:
        clock = _Clock()
        ours.fit(batches.take(settings.steps + 1), epochs=1, verbose=0, callbacks=[clock], shuffle=False)
        losses["tfrec"].append(clock.loss)
        return clock.events_per_second

    def fit_theirs() -> float:
        first, *timed = padded
        theirs.reset_metrics()
        total = theirs.train_on_batch(*first)  # sum over the batch; traces in the first round
        losses["Keras fit"].append(float(total) / float(tf.reduce_sum(first[2])))
        events = sum(float(tf.reduce_sum(weights)) for _, _, weights in timed)
        return events / seconds(lambda: [theirs.train_on_batch(*batch) for batch in timed])

    rates = take_turns({"Keras fit": fit_theirs, "tfrec": fit_ours}, settings.repetitions)
    for case, values in losses.items():
        report.check(
            bool(np.isfinite(values).all()) and values[-1] < values[0],
            f"{group}: loss of {case} is finite and falls ({values[0]:.3f} to {values[-1]:.3f})",
        )
    report.add(group, "Keras fit", "targets/s", rates["Keras fit"])
    report.add(group, "tfrec", "targets/s", rates["tfrec"], relative_to="Keras fit")


def _compare_catalogues(report: BenchmarkReport, settings: Settings) -> None:
    group = f"sampled softmax, {settings.num_negatives:,} negatives"
    rng = np.random.default_rng(0)
    cases: dict[str, Callable[[], float]] = {}
    for items in (settings.small, settings.large):
        counts = np.r_[0, 0, rng.integers(1, 100, items)]
        model = own_model(settings, items + 2, counts, "sampled-softmax", num_negatives=settings.num_negatives)
        sequences = rng.integers(2, items + 2, (settings.batch_size, 8)).astype(np.int32)
        batch = {"item": tf.constant(sequences), "length": tf.fill([settings.batch_size], 8)}
        step = tf.function(model.train_step)

        def timed(step: Callable[[dict[str, tf.Tensor]], object] = step, batch: dict[str, tf.Tensor] = batch) -> float:
            return 1e3 / settings.steps * seconds(lambda: [step(batch) for _ in range(settings.steps)])

        cases[f"{items:,} items"] = timed
    times = take_turns(cases, settings.repetitions)
    first, *others = times
    report.add(group, first, "ms/step", times[first])
    for case in others:
        report.add(group, case, "ms/step", times[case], relative_to=first)


def own_model(settings: Settings, vocab_size: int, counts: NDArray[np.int64], loss: str, **objective: object) -> SASRec:
    """Returns our model, ready for `fit`."""
    config = SASRecConfig(
        dim=settings.dim,
        blocks=settings.blocks,
        heads=settings.heads,
        max_length=settings.length,
        dropout=settings.dropout,
    )
    model = SASRec(config, vocab_size, seed=1)
    model.prepare_training(SequenceObjective(SequenceObjectiveConfig(loss=loss, **objective), counts))
    optimizer = build_sequence_optimizer(
        SequenceOptimizerConfig(learning_rate=_LEARNING_RATE), model.trainable_variables, 1
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def _check_same_states(
    report: BenchmarkReport, group: str, ours: SASRec, theirs: KerasSASRec, batches: tf.data.Dataset
) -> None:
    """With the same weights both models must score the items after the last event alike."""
    batch = next(iter(batches))
    few = {key: batch[key][:8] for key in ("item", "length")}
    inputs, _, _ = left_padded(few, theirs.positions.input_dim)
    theirs(inputs)
    copy_weights(ours, theirs)
    expected = theirs(inputs)[:, -1].numpy()  # [8, vocab]
    length = few["length"] - 1
    states = ours.encode({"item": few["item"][:, :-1], "length": length})
    last = tf.gather(states, tf.maximum(length - 1, 0), batch_dims=1)  # [8, dim]
    found = tf.matmul(last, ours.item_table()[0], transpose_b=True).numpy()
    known = length.numpy() > 0
    difference = float(np.abs(found - expected)[known].max() / np.abs(expected[known]).max())
    report.check(difference < 1e-4, f"{group}: both models give the same scores (largest difference {difference:.1e})")


class _Clock(keras.callbacks.Callback):
    """Real events per second of a `fit`, its first step left out."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = (time.perf_counter(), float((logs or {})["events"]))
        if batch == 0:
            self._start = done
        self._end = done

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.loss = float((logs or {})["loss"])

    @property
    def events_per_second(self) -> float:
        """Predicted events per second."""
        return (self._end[1] - self._start[1]) / (self._end[0] - self._start[0])


def _real_data() -> Path | None:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("TFREC_DATA", root.parent / "shared" / "data")) / "beauty"
    return folder if folder.is_dir() else None


def _beauty(folder: Path, scratch: Path) -> InteractionDataset:
    source = public_dataset("beauty")
    prepare(source, folder, scratch / "beauty.parquet")
    recipe = source.recipe_for(follow_scripts=False)
    options = {} if recipe is None else recipe.options()
    output = scratch / "beauty"
    convert(ConversionOptions(input=(str(scratch / "beauty.parquet"),), output=str(output), **options))
    return InteractionDataset.open(output)
