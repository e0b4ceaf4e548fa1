"""Raw sequence examples of a bucket of the Beam conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.beam.bucket import Bucket
from tfrec.data.split_sequences import example_contexts
from tfrec.data.splits import SPLITS, SplitPlan
from tfrec.data.sql import identifier
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfx_pipeline.features import ITEM, NUM_TARGETS, TIMESTAMP, USER, USER_ID


@dataclass(frozen=True)
class RawExamples:
    """Examples with raw ids, see `tfx_pipeline.features`; travels to the workers."""

    def encode(self, bucket: Bucket, plan: SplitPlan, fold: int) -> list[bytes]:
        """Returns the serialized examples of a split of a bucket, by their rank."""
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        loaded = bucket.plan.loaded
        run = bucket.work.connection.execute
        contexts = run(example_contexts(loaded, SPLITS[fold], 0)).to_arrow_table()
        events = run(_event_sql(bucket, plan, fold)).to_arrow_table()
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(contexts["length"].to_numpy())])
        single = np.arange(contexts.num_rows + 1, dtype=np.int64)
        lists = {
            ITEM: _lists(events[ITEM], offsets),
            TIMESTAMP: _lists(events[TIMESTAMP], offsets),
            USER_ID: _lists(contexts[USER_ID], single),
            NUM_TARGETS: _lists(contexts[NUM_TARGETS], single),
        }
        if loaded.roles.user:
            lists[USER] = lists[USER_ID]
        for feature in bucket.plan.features:
            lists[feature.name] = _lists(pc.fill_null(events[feature.name], UNKNOWN_ID[feature.id_type]), offsets)
        batch = pa.RecordBatch.from_arrays(list(lists.values()), list(lists))
        encoded: list[bytes] = RecordBatchToExamplesEncoder().encode(batch)
        return encoded


def _event_sql(bucket: Bucket, plan: SplitPlan, fold: int) -> str:
    """SQL for the raw item, the time and features of every event of a split, in the order of the examples."""
    loaded, options = bucket.plan.loaded, bucket.plan.options
    item, joins = "i", ""
    if loaded.id_types["i"] == "string":
        item, joins = "ids_i.id", "JOIN ids_i ON ids_i.code = i"
    known = "SEMI JOIN catalogue_i AS known ON known.code = i" if fold and options.unknown_items == "drop" else ""
    own = f"fold <= {fold}" if plan.history else f"fold = {fold}"
    features = ""
    for number, feature in enumerate(bucket.plan.features):
        value = f"CAST(f{number} AS BIGINT)" if feature.id_type == "int64" else f"f{number}"
        features += f", {value} AS {identifier(feature.name)}"
    if features:
        joins += " JOIN event_values USING (pos)"
    return (
        f"SELECT {item} AS {ITEM}, ms AS {TIMESTAMP}{features} FROM (SELECT * FROM folded {known} WHERE {own}) "
        f"JOIN sequences_{SPLITS[fold]} USING (q) {joins} ORDER BY rank, t, pos"
    )


def _lists(column: pa.ChunkedArray, offsets: npt.NDArray[np.int64]) -> Any:
    values = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_string(values.type):
        values = values.cast(pa.binary())
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)
