"""What a click model looks at: which features interact, and which places of a list count."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec.data.impressions.impression_batches import impression_batches
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.models.impression_model import ImpressionModel


def explain_clicks(
    model: ImpressionModel, dataset: ImpressionDataset, split: str, batch_size: int, *, rows: int = 2048
) -> dict[str, Any]:
    """Averages what a model tells of itself over the first rows of a split.

    Args:
        model: A click model; those without `explain` tell nothing.
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Rows per batch.
        rows: About how many rows are looked at.

    Returns:
        `interaction`: names of `fields`, a `matrix` of how much each attends to or is multiplied by each, and `kind`,
        what that is;
        `by_distance`: mean weight of the entry that stands so many places before the target, with `kind`, what the
        weight is. Parts that the model does not have are absent.
    """
    told: dict[str, Any] = {}
    matrices, sums, counts, seen = [], np.zeros(0), np.zeros(0), 0
    for batch in impression_batches(dataset, split, batch_size, max_length=model.max_length):
        if seen >= rows:
            break
        seen += int(batch["label"].shape[0])
        found = model.explain(batch)
        if "interaction" in found:
            told["interaction"] = {"fields": found["fields"], "kind": found["interaction_kind"]}
            matrices.append(np.asarray(found["interaction"], np.float64))
        if "weights" in found:
            distance, weights = np.asarray(found["distance"]), np.asarray(found["weights"], np.float64)
            size = max(len(sums), int(distance.max(initial=0)) + 1)
            sums = np.pad(sums, (0, size - len(sums))) + np.bincount(distance, weights, size)
            counts = np.pad(counts, (0, size - len(counts))) + np.bincount(distance, minlength=size)
            told["by_distance"] = {"kind": found["kind"]}
    if matrices:
        told["interaction"]["matrix"] = np.mean(matrices, axis=0).round(6).tolist()
    if len(sums):
        told["by_distance"]["weights"] = (sums / np.maximum(counts, 1.0)).round(8).tolist()
    return told
