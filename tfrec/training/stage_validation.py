"""Validation of a stage: what the stage trains is measured, and joint stages also before their first step."""

from __future__ import annotations

from typing import Any

from tfrec.evaluation.scorer import Scorer
from tfrec.layers.given_tables import learned_weights
from tfrec.layers.user_memory import UserMemory
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.user_memories import save_memory_state
from tfrec.training.validation import SPLIT, Validation


class StageValidation(Validation):
    """Ranks the validation targets by a branch, or by the whole model.

    Args:
        *arguments: Those of `Validation`.
        scorer: What is measured.
        from_start: Weights from before the first epoch are kept when no epoch is better.
        memory: Its counters and former states are kept beside the best weights.
        **settings: Those of `Validation`.
    """

    def __init__(
        self, *arguments: Any, scorer: Scorer, from_start: bool, memory: UserMemory | None = None, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self._scorer = scorer
        self.from_start = from_start
        self.memory = memory

    @property
    def scorer(self) -> Scorer:
        return self._scorer

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.from_start or self.best > float("-inf"):
            return
        self.best = self.measured(None)
        save_checkpoint(self.folder, "epoch-00000", weights=learned_weights(self.model), progress=self.state())
        self.console.print(f"  {SPLIT} {self.monitor} {self.best:.4f}  (before the first step)", markup=False)
        self.judged(True)

    def judged(self, better: bool) -> None:
        if better and self.memory is not None:
            save_memory_state(self.memory, self.folder.parent)
