"""A look at the scores of a few hundred targets: does the model tell items apart, and users?"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.evaluation.top_columns import column_blocks, top_columns
from tfrec.evaluation.top_lists import TopListCounter

_TARGETS_PER_BATCH = 16
_MAX_TARGETS = 512
_LIST_LENGTH = 10
# A standard deviation below this share of the scores' magnitude is rounding noise in float32.
_CONSTANT = 1e-6


class CollapseProbe:
    """Keeps the scores (or states) of some targets of every batch.

    Histories are not excluded here: a model that has one list for everybody shows it.

    Args:
        factors: Item vectors `[columns, dim]` and biases `[columns]` or None of a factorised model; None when rows
            are scores.
        max_bytes: Upper limit of the scores that are kept.
    """

    def __init__(self, factors: tuple[tf.Tensor, tf.Tensor | None] | None, max_bytes: int) -> None:
        self._factors = factors
        self._max_bytes = max_bytes
        self._rows: list[tf.Tensor] = []
        self._num_rows = 0

    def add(self, represented: tf.Tensor) -> None:
        """Takes some rows of a batch.

        Args:
            represented: States `[targets, dim]`, or scores `[targets, columns]`.
        """
        width = int(represented.shape[1] if self._factors is None else self._factors[0].shape[0])
        limit = min(_MAX_TARGETS, max(2, self._max_bytes // (4 * width)))
        count = min(_TARGETS_PER_BATCH, int(represented.shape[0]), limit - self._num_rows)
        if count > 0:
            rows = np.linspace(0, int(represented.shape[0]) - 1, count).astype(np.int32)
            self._rows.append(tf.gather(represented, rows))
            self._num_rows += count

    def as_dict(self) -> dict[str, float | int | None]:
        """Returns what the rows say.

        Returns:
            `num_probed`; `median_spread`: median over the targets of the standard deviation of the scores over the
            candidates; `median_magnitude`: the same of the mean absolute score; `share_constant`: share of targets
            whose scores all but agree; `list_overlap`: mean share of items that the top lists of two targets have in
            common beyond what chance explains (1: the same list for all; None when there is one target);
            `overlap_length`: length of these lists.
        """
        scores = self._scores()  # [rows, candidates]
        spread, magnitude = np.zeros(len(scores)), np.zeros(len(scores))
        for row, values in enumerate(scores):
            finite = values[np.isfinite(values)].astype(np.float64)  # minus infinity: no candidate
            if finite.size:
                spread[row], magnitude[row] = finite.std(), np.abs(finite).mean()
        num_candidates = scores.shape[1]
        length = max(1, min(_LIST_LENGTH, num_candidates // 2))
        counter = TopListCounter(num_candidates, [length])
        counter.add(top_columns(column_blocks(tf.constant(scores)), length).numpy())
        lists = counter.lists()
        overlap = lists.overlap(length) if lists is not None else None
        chance = length / num_candidates
        beyond = None if overlap is None or chance >= 1 else (overlap - chance) / (1.0 - chance)
        return {
            "num_probed": self._num_rows,
            "median_spread": float(np.median(spread)),
            "median_magnitude": float(np.median(magnitude)),
            "share_constant": float((spread <= _CONSTANT * magnitude).mean()),
            "list_overlap": beyond,
            "overlap_length": length,
        }

    def _scores(self) -> NDArray[np.float32]:
        rows = tf.concat(self._rows, axis=0)  # [rows, dim] or [rows, columns]
        if self._factors is not None:
            table, bias = self._factors
            rows = tf.matmul(rows, table, transpose_b=True)  # [rows, columns]
            rows = rows if bias is None else rows + bias
        return np.asarray(tf.cast(rows[:, 2:], tf.float32))  # [rows, candidates]
