"""Fixtures of the TFX tests; without TFX all of them are skipped."""

from __future__ import annotations

import importlib.util

import pytest


def pytest_collection_modifyitems(items):
    """Skips with one clear reason where TFX is not installed."""
    if importlib.util.find_spec("tfx") is not None:
        return
    skip = pytest.mark.skip(reason="TFX is not installed (its extra `tfx`; on Python 3.11+ it needs glibc 2.39)")
    for item in items:
        if "/tests/tfx/" in item.path.as_posix():
            item.add_marker(skip)
