"""Examples as a dataset directory holds them: indices instead of raw ids."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tfrec.data.beam.bucket import Bucket
from tfrec.data.example_encoder import ExampleEncoder, FeatureColumn, NumpyEncoder, string_column
from tfrec.data.split_sequences import example_contexts, example_events
from tfrec.data.splits import SPLITS, SplitPlan


@dataclass(frozen=True)
class IndexedExamples:
    """The sequence examples of the data contract.

    Attributes:
        encoder: Encoder of examples.
    """

    encoder: ExampleEncoder = field(default_factory=NumpyEncoder)

    def encode(self, bucket: Bucket, plan: SplitPlan, fold: int) -> list[bytes]:
        """Returns the serialized examples of a split of a bucket, by their rank."""
        run = bucket.work.connection.execute
        contexts = run(example_contexts(bucket.plan.loaded, SPLITS[fold], 0)).to_arrow_table().combine_chunks()
        query = example_events(plan, fold, bucket.plan.options.unknown_items, 0)
        events = run(query).to_arrow_table()
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(contexts["length"].to_numpy())])
        columns = [FeatureColumn(name, events[name].to_numpy(), offsets) for name in ("item", "timestamp")]
        single = np.arange(contexts.num_rows + 1, dtype=np.int64)
        for name in contexts.column_names:
            if name == "length":
                continue
            column = contexts[name]
            array = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
            if pa.types.is_int64(array.type):
                columns.append(FeatureColumn(name, array.to_numpy(zero_copy_only=False), single))
            else:
                columns.append(string_column(name, array))
        return self.encoder.encode(columns)
