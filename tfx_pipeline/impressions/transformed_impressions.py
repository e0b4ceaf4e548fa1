"""A dataset directory of impressions made of Transform's output, for every reader of tfrec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_manifest import ImpressionManifest, ImpressionShard, ImpressionSplit
from tfrec.data.manifest import MANIFEST_NAME, SCHEMA_NAME
from tfrec.data.remote_paths import scheme_of
from tfrec.errors import DataError
from tfrec.files import size_and_sha256, write_json
from tfx_pipeline.dataset_directory import check_replaceable, replaced_dataset
from tfx_pipeline.features import SPLITS
from tfx_pipeline.impressions.field_analyzer import read_assets

_BATCH = 8192


def open_transformed_impressions(
    transform_graph: str, examples: Mapping[str, Sequence[str]], record: ImpressionManifest, output: Path
) -> ImpressionDataset:
    """Writes a dataset directory around transformed examples and opens it.

    Fields, vocabularies, schema and manifest are written; shards are links to the transformed examples, whose rows stay
    in the order that Transform left them in.

    Args:
        transform_graph: URI of Transform's output `transform_graph`.
        examples: Files of each split.
        record: What ParquetExampleGen noted.
        output: Directory to write; an older dataset there is replaced.

    Returns:
        The dataset: what `tfrec.convert --impressions` makes of the same log, but that numbers were rounded to float32
        before they were scaled.

    Raises:
        DataError: Examples are missing, or the output exists and is no dataset.
    """
    check_replaceable(output)
    encoder = read_assets(transform_graph)
    with replaced_dataset(output) as root:
        encoder.save(root)
        (root / SCHEMA_NAME).write_text(encoder.schema.to_text())
        splits = {}
        for split in SPLITS:
            if examples.get(split):
                found = _split(examples[split], root, split, encoder.fields.label)
                _check_rows(found, record, split, examples[split][0])
                splits[split] = found
        if "train" not in splits:
            raise DataError("There are no transformed training examples.", file=transform_graph, remedy="Check it.")
        written = {"fields_hash": encoder.hash, "schema_hash": encoder.schema.hash, "compression": "gzip"}
        manifest = record.model_copy(update={**written, "splits": splits})
        write_json(root / MANIFEST_NAME, manifest.model_dump(mode="json"))
    return ImpressionDataset.open(output)


@dataclass(frozen=True)
class _Scan:
    """One file of examples."""

    file: str
    rows: int
    clicks: int


def _split(files: Sequence[str], root: Path, split: str, label: str) -> ImpressionSplit:
    scans = [scan for scan in (_scan(file, label) for file in files) if scan.rows]
    (root / split).mkdir()
    shards = []
    for number, scan in enumerate(scans):
        name = f"{split}/part-{number:05d}-of-{len(scans):05d}.tfrecord.gz"
        if scheme_of(scan.file):
            tf.io.gfile.copy(scan.file, str(root / name))
        else:
            (root / name).symlink_to(Path(scan.file).resolve())
        with (root / name).open("rb") as content:
            size, digest = size_and_sha256(content)
        shards.append(ImpressionShard(path=name, rows=scan.rows, clicks=scan.clicks, bytes=size, sha256=digest))
    return ImpressionSplit(
        rows=sum(scan.rows for scan in scans), clicks=sum(scan.clicks for scan in scans), shards=shards
    )


def _scan(file: str, label: str) -> _Scan:
    """Counts the rows and clicks of a file."""
    records = tf.data.TFRecordDataset(file, compression_type="GZIP").batch(_BATCH)
    spec = {label: tf.io.FixedLenFeature([], tf.float32)}
    rows, clicks = 0, 0
    for batch in records.map(lambda serialized: tf.io.parse_example(serialized, spec)[label]):
        rows += int(tf.size(batch))
        clicks += round(float(tf.reduce_sum(batch)))
    return _Scan(file, rows, clicks)


def _check_rows(found: ImpressionSplit, record: ImpressionManifest, split: str, file: str) -> None:
    known = record.splits.get(split)
    if known is None or (known.rows, known.clicks) != (found.rows, found.clicks):
        noted = (0, 0) if known is None else (known.rows, known.clicks)
        raise DataError(
            f"The split `{split}` has {found.rows:,} transformed examples with {found.clicks:,} clicks, "
            f"ParquetExampleGen wrote {noted[0]:,} with {noted[1]:,}.",
            file=file,
            remedy="Pass all files of the split, from the same run.",
        )
