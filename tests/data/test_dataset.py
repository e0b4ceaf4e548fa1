"""Opening a dataset: everything damaged or foreign is refused with the name of the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfrec.data.dataset import InteractionDataset
from tfrec.data.manifest import Manifest
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError, DataError, SchemaMismatchError

ROWS = [(session, item, 10 * session + item) for session in range(12) for item in range(2 + session % 3)]


@pytest.fixture
def dataset(convert_rows) -> InteractionDataset:
    return convert_rows(ROWS, shards=2)


def edit_manifest(dataset: InteractionDataset, **values: object) -> None:
    path = Path(dataset.path) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_numbers_of_a_dataset(dataset):
    assert dataset.splits == ["train"]
    # Lengths 2, 3, 4 four times each.
    assert dataset.num_sequences("train") == 12
    assert dataset.num_events("train") == 36
    assert dataset.num_targets("train") == 24
    record = dataset.manifest.splits["train"]
    assert (record.min_length, record.mean_length, record.median_length, record.max_length) == (2, 3.0, 3.0, 4)
    assert (record.first_time, record.last_time) == (0, 113_000)
    assert dataset.item_vocabulary.size == 6
    assert dataset.item_vocabulary.counts.tolist() == [0, 0, 12, 12, 8, 4]


def test_load_ragged(dataset):
    arrays = dataset.load_ragged("train")
    assert (arrays.items.dtype, arrays.timestamps.dtype, arrays.offsets.dtype) == (np.int32, np.int64, np.int64)
    assert arrays.lengths.tolist() == [2, 3, 4] * 4
    assert arrays.num_targets.tolist() == [1, 2, 3] * 4
    # Items 0 and 1 tie at 12 events: "1" > "0", so 1 has index 2 and 0 has index 3.
    assert arrays.items[:5].tolist() == [3, 2, 3, 2, 4]
    assert arrays.users is None


def test_not_a_dataset(tmp_path):
    with pytest.raises(DataError, match=r"no such directory.*tfrec\.convert"):
        InteractionDataset.open(tmp_path / "absent")
    with pytest.raises(DataError, match=r"no `manifest\.json` in it"):
        InteractionDataset.open(tmp_path)


def test_unknown_split(dataset):
    with pytest.raises(ConfigError, match=r"no split `trian`. Did you mean `train`"):
        dataset.num_events("trian")


def test_unknown_vocabulary(dataset):
    with pytest.raises(ConfigError, match="no vocabulary `user`"):
        dataset.vocabulary("user")


def test_truncated_shard(dataset):
    shard = Path(dataset.shard_paths("train")[1])
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(DataError, match=rf"part-00001-of-00002\.tfrecord`: .*{size - 7} bytes.*says {size}"):
        InteractionDataset.open(dataset.path)


def test_missing_shard(dataset):
    Path(dataset.shard_paths("train")[0]).unlink()
    with pytest.raises(DataError, match=r"part-00000-of-00002.*missing"):
        InteractionDataset.open(dataset.path)


def test_corrupt_shard_of_the_right_size(dataset):
    shard = Path(dataset.shard_paths("train")[1])
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    opened = InteractionDataset.open(dataset.path)
    with pytest.raises(DataError, match=r"part-00001-of-00002\.tfrecord`: The file is damaged"):
        opened.verify()
    with pytest.raises(DataError, match="part-00001-of-00002"):
        opened.load_ragged("train")
    with pytest.raises(DataError, match="part-00001-of-00002"), opened.explain_data_loss("train"):
        list(sequence_dataset(opened, "train", 4))


def test_intact_shards_verify(dataset):
    dataset.verify()
    dataset.verify("train")


def test_manifest_of_another_dataset(dataset, convert_rows, tmp_path):
    other = convert_rows(ROWS[:-1], output=str(tmp_path / "other"), shards=2)
    shutil.copy(Path(other.path) / "manifest.json", Path(dataset.path) / "manifest.json")
    with pytest.raises(DataError, match="the manifest says"):
        InteractionDataset.open(dataset.path)


def test_schema_of_another_dataset(dataset, convert_rows, tmp_path):
    other = convert_rows([("a", 1, 1), ("a", 2, 2)], output=str(tmp_path / "other"))
    shutil.copy(Path(other.path) / "schema.pbtxt", Path(dataset.path) / "schema.pbtxt")
    with pytest.raises(DataError, match=r"schema\.pbtxt`: The schema is not the one the manifest names"):
        InteractionDataset.open(dataset.path)


def test_vocabulary_of_another_dataset(dataset, convert_rows, tmp_path):
    path = Path(dataset.path) / "vocab" / "item.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"item\.parquet`: Not a readable Parquet file"):
        InteractionDataset.open(dataset.path).item_vocabulary  # noqa: B018


def test_unsupported_version(dataset):
    edit_manifest(dataset, format_version=99)
    with pytest.raises(DataError, match=r"format version `99`; this tfrec reads version 1"):
        InteractionDataset.open(dataset.path)


def test_manifest_with_a_foreign_field(dataset):
    edit_manifest(dataset, colour="red")
    with pytest.raises(DataError, match="Field `colour`"):
        InteractionDataset.open(dataset.path)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other/shard", "train/../../shard", "gs://bucket/shard", "C:\\x", ""]
)
def test_manifest_that_names_files_outside(dataset, path):
    manifest = json.loads((Path(dataset.path) / "manifest.json").read_text())
    manifest["splits"]["train"]["shards"][1]["path"] = path
    edit_manifest(dataset, splits=manifest["splits"])
    with pytest.raises(
        DataError, match=r"manifest\.json`: .*`splits\.train\.shards\.1\.path`.* inside the dataset dir"
    ):
        InteractionDataset.open(dataset.path)


def test_manifest_that_names_a_vocabulary_outside(dataset):
    manifest = json.loads((Path(dataset.path) / "manifest.json").read_text())
    manifest["vocabularies"]["item"]["path"] = "vocab/../../item.parquet"
    edit_manifest(dataset, vocabularies=manifest["vocabularies"])
    with pytest.raises(
        DataError, match=r"`vocabularies\.item\.path`.*`vocab/\.\./\.\./item\.parquet` is not a path in"
    ):
        InteractionDataset.open(dataset.path)


def test_manifest_that_is_not_json(dataset):
    (Path(dataset.path) / "manifest.json").write_text('{"format_version": 1')
    with pytest.raises(DataError, match=r"manifest\.json`: Not valid JSON"):
        InteractionDataset.open(dataset.path)


def test_manifest_round_trip(dataset):
    assert Manifest.from_json(dataset.manifest.to_json()) == dataset.manifest


def test_check_schema(dataset, convert_rows, tmp_path):
    dataset.check_schema(dataset.schema)
    other = convert_rows([*ROWS, (0, 77, 5)], output=str(tmp_path / "other"))
    with pytest.raises(SchemaMismatchError, match=r"`item`: expected .*size 6.*received .*size 7"):
        other.check_schema(dataset.schema)
