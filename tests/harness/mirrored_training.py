"""Trains SASRec on one device and on two replicas; run in a process of its own, because devices are split at its start.

Usage: `python mirrored_training.py DATASET FOLDER`; leaves `single.npz`, `mirrored.npz` and `facts.json` in FOLDER.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console

from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.config.run_config import SequenceRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError
from tfrec.optimizers.build import build_optimizer
from tfrec.training.device_strategy import device_strategy
from tfrec.training.fit_sequences import fit_sequences
from tfrec.training.model_store import build_model, run_config
from tfrec.training.run_directory import RunDirectory


def train(dataset: InteractionDataset, folder: Path, strategy_name: str) -> dict[str, object]:
    """Fits a model, writes its weights, and returns the row of its history and the number of replicas."""
    sequences = dataset.num_sequences("train")
    batch_size = next(size for size in range(sequences // 8, sequences) if sequences % size == 1)
    settings = {
        "model.dim": 8,
        "model.blocks": 1,
        "model.max_length": 8,
        "model.dropout": 0.0,  # replicas draw differently
        "training.epochs": 1,
        "training.batch_size": batch_size,
        "training.strategy": strategy_name,
        # Adam would magnify the rounding of gradients that are zero but for it.
        "optimizer.name": "adagrad",
        "optimizer.learning_rate": 0.1,
        "optimizer.momentum": 0.3,
        "optimizer.weight_decay": 0.1,
        "optimizer.schedule": "linear",
        "objective.loss": "softmax",
    }
    config = run_config("sasrec", assignments=[f"{key}={value}" for key, value in settings.items()])
    assert isinstance(config, SequenceRunConfig)
    strategy = device_strategy(config)
    run = RunDirectory(folder / f"run-{strategy_name}")
    run.path.mkdir()
    with strategy.scope():
        model = build_model(config, dataset)
        fit_sequences(model, dataset, config, run, Console(quiet=True))
    np.savez(folder / f"{strategy_name}.npz", *[variable.numpy() for variable in model.weights])
    [row] = csv.DictReader(run.history.open())
    return {"replicas": strategy.num_replicas_in_sync, "last_batch": sequences % batch_size, **row}


def capped_step_of_two_replicas() -> str:
    """Returns the message with which a capped gradient is refused."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        variable = tf.Variable([1.0])
        optimizer = build_optimizer(OptimizerConfig(gradient_cap=1.0))
        optimizer.build([variable])
    try:
        strategy.run(lambda: optimizer.apply([tf.constant([3.0])], [variable]))
    except ConfigError as error:
        return str(error)
    return "not refused"


def main() -> None:
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    dataset, folder = InteractionDataset.open(Path(sys.argv[1])), Path(sys.argv[2])
    facts = {name: train(dataset, folder, name) for name in ("single", "mirrored")}
    (folder / "facts.json").write_text(json.dumps({**facts, "capped": capped_step_of_two_replicas()}))


if __name__ == "__main__":
    main()
