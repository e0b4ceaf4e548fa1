"""The retrieval task of TensorFlow Recommenders for Keras 3 towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.losses.label_cross_entropy import OneHotCrossEntropy
from tfrec.tasks.legacy_metrics import LegacyMetrics

_REDUCTIONS = ("sum", "mean", "none")


class RetrievalTask:
    """Holds a `tfrs.tasks.Retrieval` and calls it with the vectors of Keras 3 towers.

    TFRS is made of Keras 2 parts: it relies on autograph, which Keras 3's trainer switches off, and Keras 3 neither
    tracks nor resets its metrics. The task is therefore called through a `tf.function` of its own, and this class is no
    layer: a Keras 3 model may keep it as a plain attribute. Compile such a model with `jit_compile=False`.

    Args:
        temperature: Scores are divided by it; None for 1.
        num_hard_negatives: Negatives of highest score that are kept for each query; None for all.
        remove_accidental_hits: Further copies of the positive are no negatives; needs `candidate_ids`.
        loss: Keras 2 loss over one-hot labels and logits. Default: categorical cross-entropy.
        reduction: Of the default loss: `sum` as TFRS does, `mean` over the queries, or `none` for one loss per query.
        metrics: `tfrs.metrics.Factorized` over the whole catalogue, see `factorized_top_k`.
        batch_metrics: Keras 2 metrics over the labels and scores within the batch.

    Raises:
        ConfigError: The temperature is not positive, `num_hard_negatives` is below 1, or the reduction is unknown.

    Example:
        >>> task = RetrievalTask(temperature=0.5, reduction="mean")
        >>> round(float(task(tf.constant([[1.0, 0.0], [0.0, 1.0]]), tf.constant([[1.0, 0.0], [0.0, 1.0]]))), 4)
        0.1269

    Reference: `tfrs.tasks.Retrieval`, TensorFlow Recommenders 0.7.
    Differences: vectors are cast to float32 first; the positive is never masked away by `score_mask`; the default loss
        is the same function computed faster.
    """

    def __init__(
        self,
        *,
        temperature: float | None = None,
        num_hard_negatives: int | None = None,
        remove_accidental_hits: bool = False,
        loss: Any = None,
        reduction: Literal["sum", "mean", "none"] = "sum",
        metrics: Sequence[Any] = (),
        batch_metrics: Sequence[Any] = (),
    ) -> None:
        if temperature is not None and not temperature > 0:
            raise ConfigError(f"`temperature` is {temperature}.", remedy="It must be positive.")
        if num_hard_negatives is not None and num_hard_negatives < 1:
            raise ConfigError(f"`num_hard_negatives` is {num_hard_negatives}.", remedy="Give 1 or more, or None.")
        if reduction not in _REDUCTIONS:
            raise ConfigError(f"Unknown reduction `{reduction}`.", remedy=f"Known: {', '.join(_REDUCTIONS)}.")
        self.remove_accidental_hits = remove_accidental_hits
        self.metrics = LegacyMetrics([*metrics, *batch_metrics])
        self._measures = bool(metrics), bool(batch_metrics)
        self._task = tfrs.tasks.Retrieval(
            # The positives stay on the diagonal unless TFRS sorts the negatives.
            loss=loss or OneHotCrossEntropy(reduction, diagonal=num_hard_negatives is None),
            metrics=list(metrics),
            batch_metrics=list(batch_metrics),
            temperature=temperature,
            num_hard_negatives=num_hard_negatives,
            remove_accidental_hits=remove_accidental_hits,
        )
        self._graph = tf.function(self._call_task, reduce_retracing=True)

    def __call__(
        self,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        *,
        sample_weight: tf.Tensor | None = None,
        candidate_sampling_probability: tf.Tensor | None = None,
        candidate_ids: tf.Tensor | None = None,
        score_mask: tf.Tensor | None = None,
        compute_metrics: bool = False,
        compute_batch_metrics: bool = True,
    ) -> tf.Tensor:
        """Computes the loss; row i of `candidates` is the positive of query i, all other rows are its negatives.

        Args:
            queries: float `[queries, dim]`, or `[queries, heads, dim]`: the best head counts.
            candidates: float `[candidates, dim]`, at least as many as queries; the surplus are further negatives.
            sample_weight: float `[queries]`.
            candidate_sampling_probability: Chance of each candidate to be in the batch, `[candidates]`. Its logarithm
                is subtracted from the scores; TFRS clips it to [1e-6, 1].
            candidate_ids: int or string `[candidates]`.
            score_mask: bool `[queries, candidates]`; false takes a negative out.
            compute_metrics: Update `metrics`, which rank the whole catalogue. Default: false.
            compute_batch_metrics: Update `batch_metrics`.

        Returns:
            float32 scalar, or `[queries]` with `reduction="none"`.

        Raises:
            ConfigError: `candidate_ids` are missing though accidental hits are to be removed.
        """
        if self.remove_accidental_hits and candidate_ids is None:
            raise ConfigError(
                "`remove_accidental_hits` needs to know which candidates are the same item.",
                remedy="Pass `candidate_ids`.",
            )
        queries, candidates = tf.cast(queries, tf.float32), tf.cast(candidates, tf.float32)
        if score_mask is not None:
            positives = tf.ones(tf.shape(queries)[:1], tf.bool)
            score_mask = tf.linalg.set_diag(score_mask, positives)  # [queries, candidates]
        full, batch = self._measures
        return self._graph(
            queries,
            candidates,
            sample_weight,
            candidate_sampling_probability,
            candidate_ids,
            score_mask,
            full and compute_metrics,
            batch and compute_batch_metrics,
        )

    def _call_task(
        self,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        sample_weight: tf.Tensor | None,
        probability: tf.Tensor | None,
        candidate_ids: tf.Tensor | None,
        score_mask: tf.Tensor | None,
        compute_metrics: bool,
        compute_batch_metrics: bool,
    ) -> tf.Tensor:
        return self._task(
            queries,
            candidates,
            sample_weight=sample_weight,
            candidate_sampling_probability=probability,
            candidate_ids=candidate_ids,
            compute_metrics=compute_metrics,
            compute_batch_metrics=compute_batch_metrics,
            score_mask=score_mask,
        )


def factorized_top_k(
    vectors: tf.Tensor | NDArray[Any], ids: tf.Tensor | NDArray[Any] | None = None, *, cutoffs: Sequence[int] = (10,)
) -> Any:
    """Returns TFRS's own ranking metric over a catalogue, for `RetrievalTask(metrics=[...])`.

    It exists for comparison with TFRS. Without candidate ids, items with the target's score do not push it back, so
    that a collapsed model scores 1; with ids, equal scores are ordered by position; a candidate that is in the
    catalogue twice takes two ranks. `tfrec.evaluation.ranking` states its rule for all three and is what tfrec reports.

    Args:
        vectors: Item vectors, float `[items, dim]`.
        ids: Item of each row, `[items]`. Default: the row number.
        cutoffs: Cut-offs.

    Returns:
        A `tfrs.metrics.FactorizedTopK` named `factorized_top_k/top_<cut-off>_categorical_accuracy`.

    Raises:
        ConfigError: A cut-off is below 1 or above the number of items.
    """
    vectors = tf.cast(vectors, tf.float32)
    if min(cutoffs, default=0) < 1 or max(cutoffs) > vectors.shape[0]:
        raise ConfigError(
            f"`cutoffs` is {list(cutoffs)} for {vectors.shape[0]} items.", remedy="Give cut-offs from 1 to that number."
        )
    rows = np.arange(vectors.shape[0], dtype=np.int32) if ids is None else ids
    index = tfrs.layers.factorized_top_k.BruteForce(k=max(cutoffs)).index(vectors, tf.convert_to_tensor(rows))
    return tfrs.metrics.FactorizedTopK(index, ks=tuple(cutoffs))
