"""The dataset directory around Transform's output, of sequences or of impressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_transform as tft

from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_manifest import ImpressionManifest
from tfx_pipeline.conversion_record import find_record
from tfx_pipeline.features import SPLITS
from tfx_pipeline.impressions.transformed_impressions import open_transformed_impressions
from tfx_pipeline.side_inputs import SideInputs
from tfx_pipeline.transformed_dataset import find_examples, open_transformed_dataset


def open_transformed(
    transform_graph: str,
    examples: Mapping[str, str | Sequence[str]],
    output: Path,
    side: SideInputs | None = None,
) -> InteractionDataset | ImpressionDataset:
    """Writes a dataset directory around transformed examples and opens it; arguments as of `open_transformed_dataset`.

    Impressions have no side features. What the examples are is what ParquetExampleGen noted in the schema.
    """
    record = find_record(tft.TFTransformOutput(transform_graph).raw_metadata.schema)
    if not isinstance(record, ImpressionManifest):
        return open_transformed_dataset(transform_graph, examples, output, side)
    files = {split: find_examples(examples[split]) for split in SPLITS if split in examples}
    return open_transformed_impressions(transform_graph, files, record, output)
