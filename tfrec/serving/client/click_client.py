"""Click probabilities from a model server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError
from tfrec.serving.client.click_inputs import click_inputs, has_lists
from tfrec.serving.client.model_client import ModelClient


class ClickClient(ModelClient):
    """Asks a click model that `tfrec.export` wrote and TensorFlow Serving (or a server with its interface) serves.

    Rows go in as they stand in the log: text, numbers, lists or the text of lists by column, None where a value is
    missing; columns that the model does not read are passed over. One client may be used from several threads.

    Args and what it raises: as of `ModelClient`.

    All methods raise `ServingError` when the server cannot be reached in time or refuses, and `ConfigError` when a row
    lacks a column or a value is of another type.

    Example:
        >>> with ClickClient("http://localhost:8501", model="clicks") as client:  # doctest: +SKIP
        ...     client.score([{"inventory_id": 37, "hour": "08", "l_feat_1": None, "seq": "9,57,269"}])
        array([0.0173], dtype=float32)
    """

    def score(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
        """Returns the probability of a click for every row, float32 `[rows]`."""
        with_lists = has_lists(rows, self._caller.metadata.signatures.get("score_lists"))
        name = "score_lists" if with_lists else "score"
        outputs = self._caller.predict(name, lambda _, signature: click_inputs(rows, signature))
        return cast("npt.NDArray[np.float32]", outputs["probability"])

    def score_examples(self, examples: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Returns the probabilities for serialized `tf.Example`s whose features are the columns."""
        if not examples:
            raise ConfigError("The request has no rows.")
        serialized = np.empty(len(examples), object)
        serialized[:] = examples
        outputs = self._caller.predict("serialized", lambda *_: {"examples": serialized})
        return cast("npt.NDArray[np.float32]", outputs["probability"])
