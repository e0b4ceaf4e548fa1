"""Which experts were busy in every epoch: printed, in TensorBoard, and in a file for the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console

from tfrec.files import write_json

USAGE_FILE = "expert_usage.json"


class ExpertUsage(keras.callbacks.Callback):
    """Ends the counting of each epoch, see `ExpertBalance.finish_epoch`; must come before the validation.

    Args:
        run: Run directory, for `expert_usage.json`.
        tensorboard: Directory of TensorBoard files.
        console: For one line per mixture and epoch.
    """

    def __init__(self, run: Path, tensorboard: Path, console: Console) -> None:
        super().__init__()
        self.path = run / USAGE_FILE
        self.tensorboard = tensorboard
        self.console = console

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        layers = {name: usage_of(mixture.balance.finish_epoch()) for name, mixture in self.model.mixtures.items()}
        if not layers:
            return
        epochs = json.loads(self.path.read_text(encoding="utf-8"))["epochs"] if epoch and self.path.is_file() else []
        epochs = [entry for entry in epochs if entry["epoch"] <= epoch]
        write_json(self.path, {"epochs": [*epochs, {"epoch": epoch + 1, "layers": layers}]})
        for name, usage in layers.items():
            shares = ", ".join(f"E{number}: {100 * share:.1f}%" for number, share in enumerate(usage["shares"]))
            figures = f"entropy {usage['entropy']:.3f}, max/min {_ratio(usage['max_min'])}"
            self.console.print(f"  experts {name:<8} {shares}  ({figures})", markup=False, soft_wrap=True)
        with tf.summary.create_file_writer(str(self.tensorboard / "experts")).as_default():
            for name, usage in layers.items():
                place = name.replace(" ", "_")
                tf.summary.scalar(f"expert_entropy/{place}", usage["entropy"], step=epoch)
                tf.summary.scalar(f"expert_largest_share/{place}", max(usage["shares"]), step=epoch)
                tf.summary.histogram(f"expert_shares/{place}", usage["shares"], step=epoch)
        if logs is not None:
            logs["expert_entropy"] = float(np.mean([usage["entropy"] for usage in layers.values()]))


def usage_of(shares: NDArray[np.float64]) -> dict[str, Any]:
    """Describes shares of experts.

    Args:
        shares: `[experts]`.

    Returns:
        `shares`, `entropy` over that of equal shares (1 is balanced), and `max_min`, the ratio of the largest and the
        smallest share; None when an expert was never selected.
    """
    positive = shares[shares > 0]
    entropy = float(-(positive * np.log(positive)).sum() / np.log(len(shares))) if len(shares) > 1 else 1.0
    smallest = float(shares.min())
    ratio = float(shares.max()) / smallest if smallest > 0 else None
    return {"shares": shares.tolist(), "entropy": entropy, "max_min": ratio}


def _ratio(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.2f}"
