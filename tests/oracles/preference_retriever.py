"""The retriever, the fusion and the memory in float64 numpy, candidate by candidate, from their equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-6) -> Array:
    centred = x - x.mean()
    return centred / np.sqrt((centred**2).mean() + epsilon) * gamma + beta


def unit(x: Array) -> Array:
    length = np.linalg.norm(x)
    return x / length if length > 0 else x


def dense(x: Array, weights: list[Array]) -> Array:
    return x @ weights[0] + weights[1]


def attention(query: Array, tokens: Array, parts: dict[str, list[Array]], heads: int) -> Array:
    """One query `[dim]` over tokens `[tokens, dim]`, all of which are seen."""
    q, k, v = dense(query, parts["query"]), dense(tokens, parts["key"]), dense(tokens, parts["value"])
    width = len(query) // heads
    joined = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        joined.append(softmax(k[:, part] @ q[part] / math.sqrt(width)) @ v[:, part])
    return dense(np.concatenate(joined), parts["output"])


def expert(target: Array, tokens: Array, parts: dict[str, Any], heads: int) -> Array:
    tokens = np.concatenate([parts["token"][np.newaxis], tokens])
    hidden = layer_norm(target + attention(target, tokens, parts, heads), *parts["norm"])
    return dense(gelu(dense(hidden, parts["inner"])), parts["outer"])


def router(joined: Array, parts: dict[str, Any]) -> Array:
    hidden = gelu(dense(layer_norm(joined, parts["gamma"], parts["beta"]), parts["inner"]))
    return softmax(dense(hidden, parts["outer"]))


def aggregate(mixture: Array, parts: dict[str, Any], heads: int) -> Array:
    tokens = np.concatenate([mixture[np.newaxis], parts["proxies"]])
    return layer_norm(mixture + attention(mixture, tokens, parts, heads), *parts["norm"])


def remember(refined: Array, memory: Array, gate: list[Array]) -> Array:
    if not memory.any():
        return refined
    g = 1.0 / (1.0 + np.exp(-dense(np.concatenate([refined, memory]), gate)))
    return g * refined + (1.0 - g) * memory


def gru(inputs: Array, state: Array, weights: list[Array]) -> Array:
    """Reset before the product: kernels of the input [candidate, reset, update], of gates, of the candidate, bias."""
    kernel, gates, recurrent, bias = weights
    n = len(state)
    v = inputs @ kernel + bias
    rz = 1.0 / (1.0 + np.exp(-(v[n:] + state @ gates)))
    candidate = np.tanh(v[:n] + (rz[:n] * state) @ recurrent)
    return state + rz[n:] * (candidate - state)
