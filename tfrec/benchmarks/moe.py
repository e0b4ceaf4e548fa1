"""Mixture of experts: selected experts alone beside all experts for all tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.layers.mixture_of_experts import MixtureOfExperts

_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        dim: Width of a token; 211 in the long-term interest model.
        hidden: Width inside an expert.
        experts: Routed experts.
        active: Experts that a token passes through.
        tokens: Tokens of a batch.
        steps: Batches that are timed together.
        repetitions: Rounds.
    """

    dim: int = 211
    hidden: int = 844
    experts: int = 32
    active: int = 2
    tokens: int = 4096
    steps: int = 3
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(tokens=1024, steps=2, repetitions=3)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Times inference and a training step (forwards and backwards) of both, in turns, with the same weights."""
    del scratch
    title = f"Mixture of {settings.experts} experts, {settings.active} per token"
    report = BenchmarkReport("moe", title, settings.repetitions, asdict(settings))
    report.notes.append("One shared expert besides, which both compute. The same weights, tokens and selections.")
    tokens = tf.constant(np.random.default_rng(0).normal(size=(settings.tokens, settings.dim)), tf.float32)
    layers = {name: _layer(settings, name) for name in ("dense", "sparse")}
    for weight, other in zip(layers["sparse"].weights, layers["dense"].weights, strict=True):
        weight.assign(other.value)
    work = {"inference": _inference, "training step": _training}
    for group, make in work.items():
        functions = {name: make(layer) for name, layer in layers.items()}
        found = {name: np.asarray(function(tokens)) for name, function in functions.items()}
        apart = float(np.abs(found["sparse"] - found["dense"]).max() / np.abs(found["dense"]).max())
        report.check(apart < _TOLERANCE, f"{group}: both give the same, up to {_TOLERANCE:g} of the largest value")
        cases = {name: _rate(function, tokens, settings.steps) for name, function in functions.items()}
        for name, values in take_turns(cases, settings.repetitions).items():
            label = "selected experts" if name == "sparse" else "all experts"
            report.add(group, label, "tokens/s", values, relative_to="all experts" if name == "sparse" else "")
    return report


def _layer(settings: Settings, dispatch: str) -> MixtureOfExperts:
    layer = MixtureOfExperts(
        settings.dim, settings.experts, settings.active, hidden=settings.hidden, dispatch=dispatch, balance="none"
    )
    layer.build()
    return layer


def _inference(layer: MixtureOfExperts) -> Callable[[tf.Tensor], tf.Tensor]:
    function: Callable[[tf.Tensor], tf.Tensor] = tf.function(layer.__call__, autograph=False)
    return function


def _training(layer: MixtureOfExperts) -> Callable[[tf.Tensor], tf.Tensor]:
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function(autograph=False)
    def step(tokens: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(tokens)))
        # One number per weight: every gradient is computed, and both can be compared.
        return tf.stack([tf.norm(gradient) for gradient in tape.gradient(loss, weights)])

    return step


def _rate(function: Callable[[tf.Tensor], tf.Tensor], tokens: tf.Tensor, steps: int) -> Callable[[], float]:
    def work() -> None:
        for _ in range(steps):
            np.asarray(function(tokens))

    return lambda: steps * int(tokens.shape[0]) / seconds(work)
