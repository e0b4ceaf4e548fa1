"""GRU4Rec training beside a stock Keras `fit` of the same model."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.block_clock import BlockClock
from tfrec.benchmarks.keras_gru4rec import KerasGRU4Rec, copy_weights, keras_batches, keras_bpr_max
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import zipf_dataset
from tfrec.config.gru4rec_config import GRU4RecConfig, parse_official_params
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.data.block_pipeline import session_block_dataset
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.session_blocks import SessionBlock
from tfrec.data.sources.prepare import prepare
from tfrec.data.sources.registry import public_dataset
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer

_COMMON = "layers=100,batch_size=32,momentum=0.2,n_sample=2048,constrained_embedding=True"
PARAMS = {
    "cross-entropy": f"{_COMMON},loss=cross-entropy,dropout_p_hidden=0.4,learning_rate=0.2,sample_alpha=0.5,logq=1.0",
    "bpr-max": f"{_COMMON},loss=bpr-max,dropout_p_embed=0.2,learning_rate=0.05,sample_alpha=0.4,logq=0.0,bpreg=1.0,"
    "elu_param=0.5",
}
LANES = 32


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        losses: Keys of `PARAMS`.
        items: Catalogue of the synthetic log.
        events: Events of the synthetic log.
        real_data: Also train on yoochoose-100k where it is at hand (`TFREC_DATA`, or `../shared/data`).
        block_steps: Mini-batches per block.
        blocks: Timed blocks per repetition.
        keras_block_steps: Mini-batches per block of the Keras model.
        keras_blocks: Timed blocks per repetition of the Keras model.
        repetitions: Rounds.
    """

    losses: tuple[str, ...] = ("cross-entropy", "bpr-max")
    items: int = 30_000
    events: int = 200_000
    real_data: bool = True
    block_steps: int = 50
    blocks: int = 10
    keras_block_steps: int = 16
    keras_blocks: int = 3
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(events=120_000, real_data=False, blocks=6, keras_block_steps=8, keras_blocks=2, repetitions=2)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Trains both models in turns on the same sessions and compares their mini-batches per second."""
    report = BenchmarkReport(
        "gru4rec_training", "GRU4Rec training", settings.repetitions, {**asdict(settings), "params": PARAMS}
    )
    report.notes.append(
        "Rate of the median block. Ours: blocks from the data set on disk, drop-out, negatives drawn in the step, "
        "momentum. Keras: Embedding, GRUCell, Adagrad (no momentum), one mini-batch per step of fit, negatives ready."
    )
    logs = {"zipf": zipf_dataset(scratch / "zipf", settings.events, settings.items, 5.0)}
    if settings.real_data and (folder := _real_data()) is not None:
        logs["yoochoose-100k"] = _convert_yoochoose(folder, scratch)
    for log, dataset in logs.items():
        for loss in settings.losses:
            _compare(report, settings, dataset, log, loss)
    return report


def _compare(report: BenchmarkReport, settings: Settings, dataset: InteractionDataset, log: str, loss: str) -> None:
    sections = parse_official_params(PARAMS[loss])
    config = GRU4RecConfig(**sections["model"])
    objective = CandidateObjective(ObjectiveConfig(**sections["objective"]), dataset.item_vocabulary.counts)
    blocks = session_block_dataset(dataset, "train", LANES, settings.block_steps)
    first = [SessionBlock(**block) for block in itertools.islice(blocks.as_numpy_iterator(), settings.blocks + 1)]
    group = f"{log}, {loss}"
    report.check(
        len(first) > settings.blocks and all(block.active.all() for block in first),
        f"{group}: every lane of every timed mini-batch holds an event",
    )

    ours = own_model(config, objective, OptimizerConfig(**sections["optimizer"]), dataset.item_vocabulary.size)
    theirs, their_batches = stock_model(config, objective, dataset.item_vocabulary.counts, first)
    _check_same_loss(report, group, ours, theirs, objective, their_batches)
    theirs.compile(
        optimizer=keras.optimizers.Adagrad(sections["optimizer"]["learning_rate"]), loss=stock_loss(objective)
    )

    clocks = {"tfrec": BlockClock(), "Keras fit": BlockClock(settings.keras_block_steps)}
    cases = {
        "Keras fit": timed_fit(
            theirs, their_batches, clocks["Keras fit"], settings.keras_blocks + 1, settings.keras_block_steps
        ),
        "tfrec": timed_fit(ours, blocks, clocks["tfrec"], settings.blocks + 1, settings.block_steps),
    }
    rates = take_turns(cases, settings.repetitions)
    for name, clock in clocks.items():
        report.check(
            bool(np.isfinite(clock.losses).all()) and clock.losses[-1] < clock.losses[0],
            f"{group}: loss of {name} is finite and falls ({clock.losses[0]:.3f} to {clock.losses[-1]:.3f})",
        )
    for unit, factor in (("mini-batches/s", 1), ("events/s", LANES)):
        report.add(group, "Keras fit", unit, [factor * rate for rate in rates["Keras fit"]])
        report.add(group, "tfrec", unit, [factor * rate for rate in rates["tfrec"]], relative_to="Keras fit")


def timed_fit(
    model: keras.Model, batches: tf.data.Dataset, clock: BlockClock, blocks: int, block_steps: int
) -> Callable[[], float]:
    """Returns a function that fits some blocks, the first of them not timed, and returns mini-batches per second."""

    def measure() -> float:
        steps = blocks * clock.batches_per_block
        with warnings.catch_warnings():
            # Keras does not know how many batches a generator has, and takes the end for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            model.fit(batches.take(steps), epochs=1, verbose=0, callbacks=[clock], shuffle=False)
        return block_steps / clock.block_seconds

    return measure


def own_model(
    config: GRU4RecConfig, objective: CandidateObjective, optimizer_config: OptimizerConfig, vocab_size: int
) -> GRU4Rec:
    """Returns our model, ready for `fit`."""
    model = GRU4Rec(config, vocab_size, seed=1)
    model.prepare_training(objective, LANES)
    optimizer = build_optimizer(optimizer_config)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def stock_model(
    config: GRU4RecConfig, objective: CandidateObjective, counts: NDArray[np.int64], blocks: Sequence[SessionBlock]
) -> tuple[KerasGRU4Rec, tf.data.Dataset]:
    """Returns the Keras model for a configuration, and its batches made of `blocks`."""
    activation, _, parameter = objective.config.final_activation.partition("-")
    model = KerasGRU4Rec(
        len(counts),
        config.layers[0],
        blocks[0].inputs.shape[1],
        dropout_embedding=config.dropout_embedding,
        dropout_hidden=config.dropout_hidden,
        final_activation=activation,
        elu_alpha=float(parameter or 1.0),
    )
    batches = keras_batches(
        blocks,
        counts,
        objective.config.num_negatives,
        objective.config.negative_alpha,
        logq=objective.config.logq_strength > 0,
    )
    return model, batches


def stock_loss(objective: CandidateObjective) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the Keras loss for an objective."""
    if objective.config.loss == "bpr-max":
        loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = keras_bpr_max(objective.config.score_regularization)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss


def _check_same_loss(
    report: BenchmarkReport,
    group: str,
    ours: GRU4Rec,
    theirs: KerasGRU4Rec,
    objective: CandidateObjective,
    batches: tf.data.Dataset,
) -> None:
    """Both models must give one mini-batch the same loss when they have the same weights, without drop-out."""
    x, columns = next(iter(batches))
    copy_weights(ours, theirs)
    expected = float(tf.reduce_mean(stock_loss(objective)(columns, theirs(x))))
    theirs.lane_state.assign(tf.zeros_like(theirs.lane_state.value))
    total, _, _ = ours.mini_batch_gradients(
        objective,
        inputs=x["inputs"],
        targets=x["targets"],
        negatives=x["negatives"],
        active=tf.ones([LANES], tf.bool),
        state=ours.stack.zero_state(LANES),
    )
    found = float(total) / LANES
    report.check(
        abs(found - expected) <= 1e-4 * abs(expected),
        f"{group}: both models give the first mini-batch the same loss ({found:.5f}, {expected:.5f})",
    )


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
