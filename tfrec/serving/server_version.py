"""Which TensorFlow Serving can run what this TensorFlow writes."""

from __future__ import annotations

COMPOSE_TAG = "2.19.1"
"""Image of TensorFlow Serving that `deploy/docker-compose.yml` takes unless `TF_SERVING_TAG` says another."""


def needed_server(tensorflow: str) -> str:
    """Returns the oldest release of TensorFlow Serving for what a release of TensorFlow wrote, as `2.21`."""
    return ".".join(tensorflow.split(".")[:2])


def too_old(tag: str, tensorflow: str) -> bool:
    """Whether a server is older than the TensorFlow that wrote a SavedModel, so that it may lack operations.

    Args:
        tag: Release of the server.
        tensorflow: Release of TensorFlow.

    Example:
        >>> too_old("2.19.1", "2.21.0"), too_old("2.19.1", "2.16.2")
        (True, False)
    """
    server, writer = (tuple(int(part) for part in needed_server(text).split(".")) for text in (tag, tensorflow))
    return server < writer
