"""Trains semantic ids and writes them as item features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.config.rqvae_config import RQVAEConfig
from tfrec.data.semantic_ids import HEALTH_FILE, IDS_FILE
from tfrec.errors import DataError, TrainingError
from tfrec.evaluation.codebook_health import codebook_health, unique_codes
from tfrec.files import atomic_write, write_json
from tfrec.layers.codebook_start import Floats
from tfrec.models.rqvae import RQVAE
from tfrec.seeds import derive_seed

WEIGHTS_FILE = "rqvae.keras"
_SAMPLE = 20_000


class FittedRQVAE(NamedTuple):
    """A trained autoencoder.

    Attributes:
        model: The model.
        epochs: Means of the losses of every epoch, and with the quantiser its `codebook_health` on a sample of items.
    """

    model: RQVAE
    epochs: list[dict[str, Any]]


def fit_rqvae(vectors: Floats, config: RQVAEConfig, *, seed: int = 0, log_dir: Path | None = None) -> FittedRQVAE:
    """Trains an autoencoder with a residual quantiser.

    It learns without the quantiser first; then codebooks start from clusters of the encodings.

    Args:
        vectors: Vectors of items, float32 `[items, dim]`; may be memory-mapped.
        config: Architecture and training.
        seed: Seed of weights, order and restarts.
        log_dir: Where TensorBoard files go. Default: nowhere.

    Returns:
        The trained model and what was measured.

    Raises:
        DataError: There are no vectors, or some are not finite.
        TrainingError: The loss became NaN or infinite.
    """
    if not len(vectors):
        raise DataError("There are no vectors to learn semantic ids from.")
    random = np.random.default_rng(derive_seed(seed, "order"))
    sample = np.asarray(vectors[np.sort(random.permutation(len(vectors))[:_SAMPLE])], np.float32)
    if not np.isfinite(sample).all():
        raise DataError("Some vectors hold NaN or infinity.", remedy="Leave these items out, or set them to zero.")
    model = RQVAE(config, vectors.shape[1], seed=seed)
    model.set_scale(sample)
    optimizer = keras.optimizers.Adam(config.learning_rate)
    optimizer.build(model.trainable_variables)
    writer = tf.summary.create_file_writer(str(log_dir)) if log_dir is not None else tf.summary.create_noop_writer()
    epochs: list[dict[str, Any]] = []
    steps = {quantize: _step(model, optimizer, quantize=quantize) for quantize in (False, True)}
    for epoch in range(config.warmup_epochs + config.epochs):
        if epoch == config.warmup_epochs:
            model.quantizer.start(model.encode(tf.constant(sample)).numpy(), rounds=config.kmeans_rounds)
        totals: dict[str, list[float]] = {}
        order = random.permutation(len(vectors))
        for start in range(0, len(order), config.batch_size):
            batch = np.asarray(vectors[np.sort(order[start : start + config.batch_size])], np.float32)
            for name, value in steps[epoch >= config.warmup_epochs](tf.constant(batch)).items():
                totals.setdefault(name, []).append(float(value))
        if not np.isfinite(totals["total"]).all():
            raise TrainingError(
                f"The loss of the semantic ids became NaN or infinite in epoch {epoch + 1}.",
                remedy="Use a smaller `learning_rate`.",
            )
        measured: dict[str, Any] = {name: float(np.mean(values)) for name, values in totals.items()}
        with writer.as_default(step=epoch):
            for name, value in measured.items():
                tf.summary.scalar(f"rqvae/{name}", value)
            if epoch >= config.warmup_epochs:
                measured["health"] = codebook_health(model.codes(sample), config.codebook_sizes)
                _write_health(measured["health"])
        epochs.append({"epoch": epoch + 1, **measured})
    writer.close()
    return FittedRQVAE(model, epochs)


def write_semantic_ids(
    fitted: FittedRQVAE, ids: pa.Array, vectors: Floats, output: Path, *, id_column: str = "item_id"
) -> dict[str, Any]:
    """Writes the ids of items, which `tfrec.convert --items` takes as features, the model, and the health of the codes.

    The table of ids and items is the file of features: a column of raw ids and one column per level.

    Args:
        fitted: Trained model, and what was measured.
        ids: Raw ids of the items.
        vectors: Their vectors, in the same order, float32 `[items, dim]`.
        output: Directory.
        id_column: Name of the column of raw ids.

    Returns:
        The health, see `codebook_health`; the file has `epochs` and `settings` besides.
    """
    model = fitted.model
    codes = model.codes(vectors)
    whole = unique_codes(codes)
    columns: dict[str, Any] = {id_column: ids}
    for level in range(whole.shape[1]):
        columns[f"sid_{level}"] = pa.array([f"{code}" for code in whole[:, level].tolist()])
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(output / IDS_FILE, "wb") as file:
        pq.write_table(pa.table(columns), file)
    health = codebook_health(codes, model.config.codebook_sizes)
    model.save(output / WEIGHTS_FILE)
    settings = model.config.model_dump(mode="json")
    write_json(output / HEALTH_FILE, {**health, "settings": settings, "epochs": fitted.epochs})
    return health


def _write_health(health: dict[str, Any]) -> None:
    tf.summary.scalar("rqvae/collisions", health["collisions"])
    for level, record in enumerate(health["levels"]):
        for name in ("used", "perplexity", "largest"):
            tf.summary.scalar(f"rqvae/level_{level}/{name}", record[name])


def _step(model: RQVAE, optimizer: keras.optimizers.Optimizer, *, quantize: bool) -> Any:
    @tf.function(reduce_retracing=True, autograph=False)
    def step(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            losses = model.losses_of(batch, quantize=quantize, training=True)
        gradients = tape.gradient(losses["total"], [variable.value for variable in variables])
        pairs = zip(gradients, variables, strict=True)
        optimizer.apply_gradients([(tf.zeros_like(v.value) if g is None else g, v) for g, v in pairs])
        return losses

    return step
