"""Attributes of modules that are not saved."""

from __future__ import annotations

from typing import Any


class Untracked:
    """Holds an object that TensorFlow must not look into when it saves a module.

    A Keras model would bring its metrics and its optimiser along, a function would be traced again.

    Args:
        value: The object.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
