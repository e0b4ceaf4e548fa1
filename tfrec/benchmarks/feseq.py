"""FESeq training and inference beside the same model of stock Keras layers."""

from __future__ import annotations

import functools
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.benchmarks.keras_feseq import KerasFESeq, copy_weights, left_padded
from tfrec.benchmarks.own_process import OwnProcess, TimedCase
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.config.feseq_config import FESeqConfig
from tfrec.data.impressions.fields import Field, FieldSet
from tfrec.evaluation.score_impressions import logits_function
from tfrec.models.feseq import FESeq
from tfrec.optimizers.row_sparse_adam import RowSparseAdam

_LEARNING_RATE = 0.001
_MEDIAN, _SPREAD = 464.0, 0.75  # of the lengths of the Toss log, before the last `length` entries are taken
_SIZES = {"gender": 4, "age_group": 10, "inventory_id": 20, "day_of_week": 5, "hour": 26}
_TOKENS, _NUMBERS = 549, 75
_LONG = 200


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        lengths: Longest lists.
        batch_size: Rows per step.
        dim: Width of the vector of a feature.
        heads: Attention heads.
        blocks: Transformer blocks.
        cross_layers: Cross layers.
        steps: Timed steps per repetition; one where lists are long, a step of which takes Keras a quarter of a minute.
        keras: Also time the Keras model.
        repetitions: Rounds.
    """

    lengths: tuple[int, ...] = (100, 150, 500)
    batch_size: int = 256
    dim: int = 16
    heads: int = 4
    blocks: int = 2
    cross_layers: int = 2
    steps: int = 2
    keras: bool = True
    repetitions: int = 3


FULL = Settings()
QUICK = Settings(lengths=(50,), batch_size=64, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Compares rows per second of training and inference, and the most memory that each process took."""
    report = BenchmarkReport("feseq", "FESeq training and inference", settings.repetitions, asdict(settings))
    report.notes.append(
        "Every case runs in a process of its own; memory is the most that it had resident, TensorFlow included. Toss: "
        "lists as long as those of the Toss log, of which the last `length` entries are kept; full: all rows have "
        "`length` entries. Keras pads on the left to `length` and holds all attention weights."
    )
    for length in settings.lengths:
        for mode in ("training", "inference"):
            _compare(report, settings, length, mode)
    return report


def _compare(report: BenchmarkReport, settings: Settings, length: int, mode: str) -> None:
    group = f"length {length}, {mode}"
    systems = [("tfrec, Toss", True, True), ("tfrec, full", True, False)]
    if settings.keras:
        systems.insert(0, ("Keras, Toss", False, True))
    processes = {
        name: OwnProcess(timed_case, ours, realistic, length, mode, asdict(settings), small_operations=False)
        for name, ours, realistic in systems
    }
    try:
        rates = take_turns(processes, settings.repetitions)
        for name, values in rates.items():
            reference = "Keras, Toss" if settings.keras and name != "Keras, Toss" else ""
            report.add(group, name, "rows/s", values, relative_to=reference)
            report.add(group, f"{name}, memory", "GB", [processes[name].losses[0]])
        if settings.keras:
            first, second = processes["Keras, Toss"].losses[1], processes["tfrec, Toss"].losses[1]
            close = abs(first - second) < 1e-3 * max(1.0, abs(second))
            report.check(close, f"{group}: both begin with the same loss ({second:.5f} and {first:.5f})")
    finally:
        for process in processes.values():
            process.close()


def timed_case(ours: bool, realistic: bool, length: int, mode: str, sizes: dict[str, Any]) -> TimedCase:
    """Makes what is timed; a call returns rows per second, and [peak memory in GB, first loss]."""
    settings = Settings(**sizes)
    model, batch = own_model(settings, length), own_batch(settings, length, realistic=realistic)
    loss = _loss(model, batch)
    if ours:
        work = _own_work(model, batch, mode)
    else:
        inputs = left_padded(batch, length)
        theirs = KerasFESeq(model)
        few = {name: value[:2] for name, value in inputs.items()}
        theirs(few)
        copy_weights(model, theirs)
        loss = float(tf.reduce_mean(_bce(batch["label"][:2], theirs(few)[:, 0])))
        work = _keras_work(theirs, inputs, batch["label"], mode)

    steps = settings.steps if length <= _LONG else 1

    def timed() -> tuple[float, list[float]]:
        started = time.perf_counter()
        for _ in range(steps):
            work()
        rate = steps * settings.batch_size / (time.perf_counter() - started)
        return rate, [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, loss]

    return timed


def own_model(settings: Settings, length: int) -> FESeq:
    """Returns our model of the medium size, with the fields of the Toss log."""
    fields = [Field(name=name, kind="category", vocabulary=name, size=size) for name, size in _SIZES.items()]
    fields.append(Field(name="seq", kind="ids", vocabulary="seq", size=_TOKENS, max_length=length))
    fields += [Field(name=f"number_{number}", kind="number") for number in range(_NUMBERS)]
    config = FESeqConfig(
        embedding_dim=settings.dim,
        max_length=length,
        heads=settings.heads,
        blocks=settings.blocks,
        interaction_layers=settings.cross_layers,
        init_stddev=0.1,
    )
    return FESeq(config, FieldSet(label="label", fields=tuple(fields)), seed=1)


def own_batch(settings: Settings, length: int, *, realistic: bool) -> dict[str, tf.Tensor]:
    """Returns a batch of random rows."""
    rng = np.random.default_rng(0)
    rows = settings.batch_size
    drawn = np.exp(np.log(_MEDIAN) + _SPREAD * rng.normal(size=rows))
    lengths = np.clip(drawn, 1, length).astype(np.int32) if realistic else np.full(rows, length, np.int32)
    batch: dict[str, Any] = {name: rng.integers(1, size, rows).astype(np.int32) for name, size in _SIZES.items()}
    batch |= {f"number_{number}": rng.random(rows).astype(np.float32) for number in range(_NUMBERS)}
    tokens = rng.integers(2, _TOKENS, (rows, length)) * (np.arange(length) < lengths[:, None])
    batch |= {"seq": tokens.astype(np.int32), "seq/length": lengths}
    batch["label"] = (rng.random(rows) < 0.02).astype(np.float32)
    return {name: tf.constant(values) for name, values in batch.items()}


def _bce(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)


def _loss(model: FESeq, batch: dict[str, tf.Tensor]) -> float:
    few = {name: value[:2] for name, value in batch.items()}
    return float(tf.reduce_mean(_bce(few["label"], model.logits(few))))


def _own_work(model: FESeq, batch: dict[str, tf.Tensor], mode: str) -> Any:
    if mode == "inference":
        return functools.partial(lambda predict: predict(batch).numpy(), logits_function(model))
    model.prepare_training(lambda labels, logits: tf.reduce_mean(_bce(labels, logits)))
    optimizer = RowSparseAdam(_LEARNING_RATE, gradient_cap=10.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    step = tf.function(model.train_step)
    return lambda: float(step(batch)["loss"])


def _keras_work(model: KerasFESeq, inputs: dict[str, tf.Tensor], labels: tf.Tensor, mode: str) -> Any:
    if mode == "inference":
        graph = tf.function(lambda batch: model(batch))
        return lambda: graph(inputs).numpy()
    model.compile(
        optimizer=keras.optimizers.Adam(_LEARNING_RATE, global_clipnorm=10.0),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return lambda: model.train_on_batch(inputs, labels[:, tf.newaxis])
