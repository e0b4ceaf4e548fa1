"""A catalogue of given item vectors as a SavedModel, and its callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.export_config import ExportConfig
from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.config.index_config import IndexConfig
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.models.gru4rec import GRU4Rec
from tfrec.serving.index.ivf_index import IVFIndex
from tfrec.serving.served_model import ServedModel

_FIRST_ID = 1 << 33


@dataclass(frozen=True)
class ServedCatalogue:
    """A SavedModel after saving and loading.

    Attributes:
        index: What the index is, for example `IVF1000, 8 probes`.
        search: The index alone: float32 `[batch, dim]` to item indices int32 `[batch, k]`.
        recommend: The signature: raw ids of histories int64 `[batch, events]`, which are excluded, to raw ids
            int64 `[batch, k]`.
    """

    index: str
    search: Callable[[NDArray[np.float32]], NDArray[np.int32]]
    recommend: Callable[[NDArray[np.int64]], NDArray[np.int64]]


def served_catalogue(vectors: NDArray[np.float32], kind: str, path: Path, k: int) -> ServedCatalogue:
    """Saves and loads a GRU4Rec with given item vectors, the rest of which is untrained.

    Args:
        vectors: Item vectors, float32 `[items, dim]`; row r has the raw id `raw_ids(r)`.
        kind: Kind of index.
        path: Directory that does not exist yet.
        k: Length of lists.
    """
    count, dim = vectors.shape
    model = GRU4Rec(GRU4RecConfig(layers=[dim]), count + FIRST_INDEX)
    model.items.vectors.assign(np.concatenate([np.zeros([FIRST_INDEX, dim], np.float32), vectors]))
    vocabulary = Vocabulary(pa.array(raw_ids(np.arange(count))), np.arange(count, 0, -1))
    settings = IndexConfig.model_validate({"kind": kind})
    served = ServedModel(model, vocabulary, config=ExportConfig(k=k, index=settings))
    index = served.ranker.index  # type: ignore[attr-defined]
    served.search = tf.function(
        lambda queries: index.search(queries, k),
        input_signature=[tf.TensorSpec([None, dim], tf.float32, name="queries")],
    )
    tf.saved_model.save(served, str(path), signatures=served.signatures(["recommend"]))
    loaded = tf.saved_model.load(str(path))

    def recommend(histories: NDArray[np.int64]) -> NDArray[np.int64]:
        batch, events = histories.shape
        nothing = tf.zeros([batch, 0], tf.int64)
        answer = loaded.signatures["recommend"](
            history=tf.constant(histories),
            history_length=tf.fill([batch], events),
            k=tf.constant(k),
            exclude_ids=nothing,
            allow_ids=nothing,
            exclude_history=tf.constant(True),
        )
        return answer["items"].numpy()

    name = f"IVF{index.num_clusters}, {index.num_probes} probes" if isinstance(index, IVFIndex) else kind
    return ServedCatalogue(name, lambda queries: loaded.search(queries)[1].numpy(), recommend)


def raw_ids(rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Returns the raw ids of rows, above 2^31."""
    return rows.astype(np.int64) * 7 + _FIRST_ID
