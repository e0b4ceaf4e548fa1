"""Interaction layers in numpy, one token at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


def cross_v1(x0: np.ndarray, w: Weights, layers: int) -> np.ndarray:
    x = x0
    for layer in range(layers):
        x = x + (w[f"weight_{layer}"][:, 0] @ x) * x0 + w[f"bias_{layer}"]
    return x


def cross_v2(x0: np.ndarray, w: Weights, layers: int) -> np.ndarray:
    x = x0
    for layer in range(layers):
        x = x + x0 * (w[f"kernel_{layer}"].T @ x + w[f"bias_{layer}"])
    return x


def cross_mix(x0: np.ndarray, w: Weights, layers: int) -> np.ndarray:
    x = x0
    for layer in range(layers):
        gate = softmax(x @ w["gate"])
        update = np.zeros_like(x)
        for expert, share in enumerate(gate):
            low = np.tanh(np.tanh(x @ w[f"down_{layer}"][expert]) @ w[f"core_{layer}"][expert])
            update = update + share * (low @ w[f"up_{layer}"][expert] + w[f"bias_{layer}"])
        x = x + x0 * update
    return x


def autoint(x0: np.ndarray, w: Weights, layers: int, dim: int) -> np.ndarray:
    x = x0.reshape(-1, dim)
    for layer in range(layers):
        q, k, v = (x @ w[f"{name}_{layer}"] for name in ("query", "key", "value"))
        x = softmax(q @ k.T / np.sqrt(dim)) @ v + x
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = np.maximum(x * w[f"gamma_{layer}"] + w[f"beta_{layer}"], 0.0)
    return x.ravel()


def destine(x0: np.ndarray, w: Weights, layers: int, dim: int) -> np.ndarray:
    x = x0.reshape(-1, dim)
    for layer in range(layers):
        q, k, v, residual = (x @ w[f"{name}_{layer}"] for name in ("query", "key", "value", "residual"))
        pairs = softmax((q - q.mean(0)) @ (k - k.mean(0)).T / np.sqrt(dim))
        unary = softmax(x @ w[f"unary_{layer}"], axis=0)[:, 0]
        x = (pairs + unary[np.newaxis]) @ v + residual
    return x.ravel()
