"""One server for the tests of a session: models are added to its folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tensorflow as tf

from tests.serving.server.model_server import ModelServer, model_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """The test server over an empty folder; a model put there as `<name>/<version>` is served in an instant."""
    with model_server(tmp_path_factory.mktemp("models")) as running:
        yield running


@pytest.fixture
def graphs_as_they_are() -> Iterator[None]:
    """Each graph runs a few times only: optimising it would take most of the time of these tests."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
