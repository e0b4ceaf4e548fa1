"""Autoencoder with a residual quantiser in the middle: semantic ids of items."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.config.rqvae_config import RQVAEConfig
from tfrec.layers.codebook_start import Floats
from tfrec.layers.residual_quantizer import Quantized, ResidualQuantizer
from tfrec.seeds import derive_seed

_AT_ONCE = 1 << 13


@keras.saving.register_keras_serializable(package="tfrec")
class RQVAE(keras.Model):
    """Encoder of dense layers, `ResidualQuantizer`, decoder; the codes of an item are its semantic id.

    Inputs are centred and scaled by numbers of the data. The last layers of encoder and decoder are linear: they must
    reach negative values.

    Args:
        config: Architecture.
        input_dim: Width of item vectors.
        seed: Seed of weights and restarts.

    Reference: arXiv 2203.01941, arXiv 2305.05065.
    """

    def __init__(self, config: RQVAEConfig, input_dim: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.input_dim, self.seed = config, input_dim, seed
        self.center = self.add_weight(shape=(input_dim,), initializer="zeros", trainable=False, name="center")
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")
        self.encoder = self._dense("encoder", input_dim, [*config.hidden, config.latent_dim])
        self.decoder = self._dense("decoder", config.latent_dim, [*reversed(config.hidden), input_dim])
        self.quantizer = ResidualQuantizer(
            config.codebook_sizes,
            config.latent_dim,
            learned=config.codebook == "gradient",
            estimator=config.estimator,
            balanced=config.assignment == "balanced",
            decay=config.ema_decay,
            restart_below=config.restart_below,
            seed=derive_seed(seed, "quantizer"),
            name="quantizer",
        )
        self.quantizer.build()
        self.built = True

    def set_scale(self, vectors: Floats) -> None:
        """Takes centre and scale of vectors float32 `[n, input_dim]`."""
        center = vectors.mean(axis=0)
        self.center.assign(center)
        self.scale.assign(max(float((vectors - center).std()), 1e-12))

    def encode(self, vectors: tf.Tensor) -> tf.Tensor:
        """Encodes float `[batch, input_dim]` as float `[batch, latent_dim]`."""
        return _through(self.encoder, self._scaled(vectors))

    def call(self, vectors: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, Quantized]:
        """Returns what is decoded, float `[batch, input_dim]` in the units of the inputs, and what was quantised."""
        quantized = self.quantizer(self.encode(vectors), training=training)
        return _through(self.decoder, quantized.vectors) * self.scale.value + self.center.value, quantized

    def losses_of(self, vectors: tf.Tensor, *, quantize: bool, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns `reconstruction`, a share of the variance of the inputs; `commitment`, `codebook` and their `total`.

        Args:
            vectors: float `[batch, input_dim]`.
            quantize: Whether the quantiser takes part.
            training: Whether it learns.
        """
        scaled = self._scaled(vectors)
        latent = _through(self.encoder, scaled)
        nothing = tf.constant(0.0)
        found = self.quantizer(latent, training=training) if quantize else Quantized(latent, None, nothing, nothing)
        decoded = _through(self.decoder, found.vectors)
        reconstruction = tf.reduce_mean(tf.square(decoded - scaled))
        total = reconstruction + (self.config.commitment * found.commitment + found.codebook) / self.config.latent_dim
        return {
            "reconstruction": reconstruction,
            "commitment": found.commitment,
            "codebook": found.codebook,
            "total": total,
        }

    def codes(self, vectors: Floats) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Returns the codes of vectors, int32 `[n, levels]`, some vectors at a time.

        They are the nearest ones; with balanced assignment, near ones that random parts of the vectors use alike.
        """
        balanced = self.config.assignment == "balanced"
        order = np.arange(len(vectors))
        if balanced:
            order = np.random.default_rng(derive_seed(self.seed, "parts")).permutation(len(vectors))
        codes = np.zeros((len(vectors), len(self.config.codebook_sizes)), np.int32)
        for rows in np.array_split(order, -(-len(vectors) // _AT_ONCE) or 1):
            if len(rows):
                rows = np.sort(rows)
                piece = tf.constant(np.asarray(vectors[rows], np.float32))
                codes[rows] = self.quantizer(self.encode(piece), balance=balanced).codes.numpy()
        return codes

    def get_config(self) -> dict[str, Any]:
        return {"config": self.config.model_dump(mode="json"), "input_dim": self.input_dim, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: object = None) -> RQVAE:
        settings = dict(config)
        return cls(RQVAEConfig.model_validate(settings.pop("config")), **settings)

    def _scaled(self, vectors: tf.Tensor) -> tf.Tensor:
        return (vectors - self.center.value) / self.scale.value

    def _dense(self, name: str, width: int, sizes: list[int]) -> list[keras.layers.Dense]:
        layers = []
        for number, units in enumerate(sizes):
            layer = keras.layers.Dense(
                units,
                activation="relu" if number < len(sizes) - 1 else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(self.seed, name, number)),
                name=f"{name}_{number}",
            )
            layer.build((None, width))
            layers.append(layer)
            width = units
        return layers


def _through(layers: list[keras.layers.Dense], values: tf.Tensor) -> tf.Tensor:
    for layer in layers:
        values = layer(values)
    return values
