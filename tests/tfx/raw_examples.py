"""Raw sequence examples made of a converted dataset: what ParquetExampleGen writes, without running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.data.example_encoder import FeatureColumn, TfxBslEncoder, string_column
from tfrec.data.sequence_arrays import SequenceArrays


def write_raw_examples(dataset: InteractionDataset, root: Path) -> dict[str, Path]:
    """Writes `Split-<name>/data_tfrecord-00000-of-00001.gz` per split and returns the directories."""
    directories = {}
    for split in dataset.splits:
        directories[split] = root / f"Split-{split}"
        directories[split].mkdir(parents=True)
        path = directories[split] / "data_tfrecord-00000-of-00001.gz"
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for record in _encode(dataset, dataset.load_ragged(split)):
                writer.write(record)
    return directories


def _encode(dataset: InteractionDataset, arrays: SequenceArrays) -> list[bytes]:
    items = dataset.item_vocabulary.ids[arrays.items - 2]
    single = np.arange(len(arrays) + 1)
    columns = [FeatureColumn("timestamp", arrays.timestamps, arrays.offsets)]
    columns.append(FeatureColumn("num_targets", arrays.num_targets.astype(np.int64), single))
    names = ["user_id", "user"] if arrays.users is not None else ["user_id"]
    for name in names:
        if arrays.user_ids.dtype == object:
            columns.append(string_column(name, pa.array(arrays.user_ids, pa.string())))
        else:
            columns.append(FeatureColumn(name, arrays.user_ids, single))
    columns.append(FeatureColumn("item", items, arrays.offsets))
    return TfxBslEncoder().encode(columns)
