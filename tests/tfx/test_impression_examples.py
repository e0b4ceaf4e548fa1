"""Impressions pass ParquetExampleGen row by row: every value of the log, under its name, in the split of its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tfx
pytest.importorskip("tfx", reason="TFX is not installed", exc_type=ImportError)

from tests.tfx.in_process import run_nodes  # noqa: E402
from tfrec.data.impressions.impression_options import impression_options  # noqa: E402
from tfrec.data.impressions.impression_sources import open_sources  # noqa: E402
from tfrec.data.impressions.row_plan import SPLITS, assign_rows  # noqa: E402
from tfrec.errors import DataError  # noqa: E402
from tfx_pipeline.parquet_example_gen.component import ParquetExampleGen  # noqa: E402

ROLES = {"label": "clicked", "categorical": [{"name": "city"}], "numeric": [{"name": "price"}]}
LOG = pa.table(
    {
        "clicked": [n % 3 == 0 for n in range(90)],
        "city": [None if n % 7 == 0 else f"ü{n % 5}" for n in range(90)],
        "price": [None if n % 11 == 0 else n / 4 for n in range(90)],
        "history": [None if n % 5 == 0 else list(range(n % 4)) for n in range(90)],
        "row": list(range(90)),
    }
)


def test_rows_pass_with_every_value(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet", row_group_size=40)
    flags = {"input": [str(tmp_path / "log.parquet")], "impressions": ROLES, "seed": 3, "valid_fraction": 0.2}
    made = run_nodes([ParquetExampleGen(flags)], tmp_path / "artifacts")
    artifact = made["ParquetExampleGen"]["examples"]
    options = impression_options(output="x", **{**flags, "input": tuple(flags["input"])})
    folds = assign_rows(options, open_sources(options.input, split=None, file_format=None))
    for number, split in enumerate(SPLITS):
        rows = _rows(Path(artifact.uri) / f"Split-{split}")
        assert [row["row"] for row in rows] == [[n] for n in np.flatnonzero(folds == number)]
        for row in rows:
            expected = LOG.slice(row["row"][0], 1).to_pylist()[0]
            assert row["clicked"] == [int(expected["clicked"])]
            assert row["city"] == ([] if expected["city"] is None else [expected["city"].encode()])
            assert row["price"] == ([] if expected["price"] is None else [expected["price"]])
            assert row["history"] == (expected["history"] or [])


def test_a_missing_label_is_named(tmp_path):
    pq.write_table(LOG.drop(["clicked"]), tmp_path / "log.parquet")
    generator = ParquetExampleGen({"input": [str(tmp_path / "log.parquet")], "impressions": ROLES})
    with pytest.raises(DataError, match="column `clicked`: The column is missing"):
        run_nodes([generator], tmp_path / "artifacts")


def _rows(directory: Path) -> list[dict[str, list[Any]]]:
    files = [str(path) for path in sorted(directory.glob("*"))]
    rows = []
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        row: dict[str, list[Any]] = {name: [] for name in LOG.column_names}
        for name, feature in tf.train.Example.FromString(record).features.feature.items():
            row[name] = list(getattr(feature, feature.WhichOneof("kind") or "int64_list").value)
        rows.append(row)
    return rows
