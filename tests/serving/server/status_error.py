"""A failed request, with the status code that TensorFlow Serving gives it."""

from __future__ import annotations

import grpc


class StatusError(Exception):
    """Args: the gRPC status code (REST derives its own from it) and the message for the client."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def not_found(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.NOT_FOUND, message)


def invalid(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)
