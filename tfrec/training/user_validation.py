"""Validation of vectors of users after every epoch, and the step size that follows it."""

from __future__ import annotations

from typing import Any

from tfrec.config.training_config import PairTrainingConfig
from tfrec.evaluation.user_retrieval import retrieve_users
from tfrec.evaluation.user_vectors import model_vectors
from tfrec.training.validation import SPLIT, Validation


class UserValidation(Validation):
    """Finds the users of the validation split by their long windows; reduces the step size on a plateau.

    After more than `plateau_patience` epochs without a better metric the step size is multiplied by `plateau_factor`,
    and the count begins anew. Every user is compared with all others, of a draw of `validation_users` where there are
    more; it is the same in every epoch.

    Args:
        training: The settings of the plateau and of the draw.
        *args, **kwargs: Those of `Validation`.

    Reference: `ReduceLROnPlateau` of PyTorch with mode `max`.
    Differences: only where epochs are validated, that is with `patience`; a scheduled step size is refused by the
        configuration; any better value counts, without a threshold; there is no cool-down and no least step size.
    """

    def __init__(self, *args: Any, training: PairTrainingConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.training = training
        self.plateau = 0
        self.announced = False

    def state(self) -> dict[str, Any]:
        return {**super().state(), "plateau": self.plateau}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.plateau = state["plateau"]

    def measured(self, logs: dict[str, Any] | None) -> float:
        owner, vectors = model_vectors(self.model, self.dataset, SPLIT, self.training.validation_users)
        total = self.dataset.num_sequences(SPLIT)
        if not self.announced and total > self.training.validation_users:
            text = f"  Validated with {len(owner):,} of {total:,} users of `{SPLIT}`, drawn the same in every epoch."
            self.console.print(text, markup=False)
        self.announced = True
        cutoff = int(self.monitor.partition("@")[2] or 10)
        metrics = retrieve_users(vectors["long"], vectors["short"], owner).metrics([1, 10, cutoff])
        metrics["negative_bpr"] = -metrics["bpr"]
        if logs is not None:
            logs[f"{SPLIT}_{self.monitor}"] = metrics[self.monitor]  # first: reports mark the best epoch in the first
            shown = ("user_recall@1", "user_recall@10", "user_mrr", "pairwise_accuracy", "own_cosine", "gap", "bpr")
            logs.update({f"{SPLIT}_{name}": metrics[name] for name in shown})
        return metrics[self.monitor]

    def judged(self, better: bool) -> None:
        self.plateau = 0 if better else self.plateau + 1
        rate = self.model.optimizer.learning_rate
        if self.plateau > self.training.plateau_patience and self.training.plateau_factor < 1.0:
            rate.assign(rate * self.training.plateau_factor)
            self.console.print(f"  Step size {float(rate):g} from here on.", markup=False)
            self.plateau = 0
