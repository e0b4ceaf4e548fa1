"""Validation after every epoch: the best weights are kept, and training stops when they no longer improve."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.scorer import Scorer
from tfrec.layers.given_tables import learned_weights
from tfrec.training.checkpoints import list_checkpoints, restore_checkpoint, save_checkpoint
from tfrec.training.weight_average import WeightAverage

SPLIT = "valid"


class Validation(keras.callbacks.Callback):
    """Ranks the validation targets at the end of every epoch and adds the metric to the logs.

    Args:
        dataset: Its split `valid` is ranked.
        settings: Tie rule, history rule and batch size.
        folder: Where the weights of the best epoch go.
        console: For one line per epoch.
        monitor: Metric to maximise, for example `mrr@20`.
        patience: Epochs without improvement after which training stops.
        average: Average of the weights that is measured and kept in their place.
    """

    def __init__(
        self,
        dataset: InteractionDataset,
        settings: EvaluationConfig,
        folder: Path,
        console: Console,
        *,
        monitor: str,
        patience: int,
        average: WeightAverage | None = None,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.settings = settings
        self.folder = folder
        self.console = console
        self.monitor = monitor
        self.patience = patience
        self.average = average
        self.best = float("-inf")
        self.best_epoch = 0
        self.waited = 0

    @property
    def scorer(self) -> Scorer:
        """What is measured."""
        return self.model

    @property
    def exhausted(self) -> bool:
        """Whether the patience is used up."""
        return self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """Returns what a resumed run needs."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over the state of an interrupted run."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]

    def load_best(self, model: keras.Model) -> None:
        """Puts the weights of the best epoch into the model."""
        restore_checkpoint(list_checkpoints(self.folder)[-1], weights=learned_weights(model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with self.average.in_place() if self.average is not None else nullcontext():
            self._measure(epoch, logs)

    def measured(self, logs: dict[str, Any] | None) -> float:
        """Returns the metric that decides; further ones may be added to the logs."""
        result = evaluate_ranking(
            self.scorer,
            sequence_dataset(self.dataset, SPLIT, self.settings.batch_size, bucket_by_length=True),
            cutoffs=[int(self.monitor.partition("@")[2])],
            tie_rule=self.settings.tie_rule,
            exclude_history=self.settings.exclude_history,
        )
        return result.metrics[self.monitor]

    def judged(self, better: bool) -> None:
        """Called after every epoch with whether it was the best so far."""

    def _measure(self, epoch: int, logs: dict[str, Any] | None) -> None:
        value = self.measured(logs)
        if logs is not None:
            logs[f"{SPLIT}_{self.monitor}"] = value
        if value > self.best:
            self.best, self.best_epoch, self.waited = value, epoch + 1, 0
            save_checkpoint(
                self.folder, f"epoch-{epoch + 1:05d}", weights=learned_weights(self.model), progress=self.state()
            )
        else:
            self.waited += 1
        self.judged(not self.waited)
        note = "best so far" if not self.waited else f"best {self.best:.4f} in epoch {self.best_epoch}"
        self.console.print(f"  {SPLIT} {self.monitor} {value:.4f}  ({note})", markup=False)
        if self.exhausted:
            self.console.print(f"  No better for {self.waited} epochs: stopped.", markup=False)
            self.model.stop_training = True
