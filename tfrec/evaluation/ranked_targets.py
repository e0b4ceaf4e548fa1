"""What is known of every single target after a ranking: the raw material of intervals, slices and histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.evaluation.tie_rules import TieRule, ranks_from_counts

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RankedTargets:
    """One entry per target, in the order in which the batches held them.

    Args:
        greater: Candidates with a higher score, int64 `[targets]`.
        greater_equal: Candidates with at least the target's score, the target included, int64 `[targets]`.
        candidates: Number of candidates, the target included; 0 where the target is no candidate. int64 `[targets]`.
        item: Item index of the target, int64 `[targets]`.
        position: Number of events before the target in its sequence, int64 `[targets]`.
        sequence: Number of the sequence, from 0, int64 `[targets]`.
        owner: Number of the user (or of the session where there are no users), int64 `[targets]`.
    """

    greater: Integers
    greater_equal: Integers
    candidates: Integers
    item: Integers
    position: Integers
    sequence: Integers
    owner: Integers

    def __len__(self) -> int:
        return int(self.item.size)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which targets are candidates, `[targets]`."""
        return self.candidates > 0

    def ranks(self, tie_rule: TieRule) -> NDArray[np.float64]:
        """Returns the ranks by a tie rule, infinite for targets that are no candidates, `[targets]`."""
        return np.where(self.known, ranks_from_counts(self.greater, self.greater_equal, tie_rule), np.inf)

    def arrays(self) -> dict[str, Integers]:
        """Returns the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def same_targets(self, other: RankedTargets) -> bool:
        """Returns whether both hold the same targets of the same sequences in the same order."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("item", "position", "sequence")
        )


class TargetCollector:
    """Gathers `RankedTargets` batch by batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Any]] = {field.name: [] for field in fields(RankedTargets)}
        self._num_sequences = 0
        self.num_targets = 0
        self.num_sequences_with_targets = 0

    def add_batch(self, batch: Mapping[str, tf.Tensor], query: tf.Tensor, target: tf.Tensor) -> None:
        """Takes what the batch says of its targets.

        Args:
            batch: A batch of `sequence_dataset`.
            query: `query_index` of `target_positions`, int32 `[targets, 2]`.
            target: Item indices, int32 `[targets]`.
        """
        row, last = query.numpy().astype(np.int64).T  # [targets] each
        sequence = row + self._num_sequences  # [targets]
        owner = np.asarray(batch["user_id"])[row] if "user_id" in batch else sequence
        for name, values in (
            ("item", target.numpy().astype(np.int64)),
            ("position", last + 1),
            ("sequence", sequence),
            ("owner", owner),
        ):
            self._parts[name].append(values)
        self._num_sequences += int(batch["item"].shape[0])
        self.num_sequences_with_targets += np.unique(row).size
        self.num_targets += row.size

    def add_counts(self, greater: tf.Tensor, greater_equal: tf.Tensor, candidates: tf.Tensor, known: tf.Tensor) -> None:
        """Takes the counts of the next targets, int32 `[any]` each; `known` tells which targets are candidates."""
        self._parts["greater"].append(greater.numpy())
        self._parts["greater_equal"].append(greater_equal.numpy())
        self._parts["candidates"].append(np.where(known.numpy(), candidates.numpy(), 0))

    def targets(self) -> RankedTargets:
        """Returns all that was gathered."""
        arrays = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        _, arrays["owner"] = np.unique(arrays["owner"], return_inverse=True)
        return RankedTargets(**{name: values.astype(np.int64) for name, values in arrays.items()})
