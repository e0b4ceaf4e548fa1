"""What can go wrong between this package and a store of vectors."""

from __future__ import annotations

from tfrec.errors import DataError, TfrecError


class StoreError(TfrecError):
    """The store refuses, or does not do what it should."""

    exit_code = 5


class StoreUnreachableError(StoreError):
    """The store does not answer."""


class VectorsMismatchError(DataError):
    """The vectors in the store are missing or not those the reader expects: dimension, model, schema."""
