"""Impressions pass ParquetExampleGen row by row: every column that has a role, in the split of its row."""

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
from tfrec.data.impressions.impression_manifest import ImpressionManifest  # noqa: E402
from tfrec.data.impressions.impression_options import impression_options  # noqa: E402
from tfrec.data.impressions.impression_sources import open_sources  # noqa: E402
from tfrec.data.impressions.row_plan import SPLITS, assign_rows  # noqa: E402
from tfrec.errors import DataError  # noqa: E402
from tfx_pipeline.impressions.roles import settle_roles  # noqa: E402
from tfx_pipeline.parquet_example_gen.component import ParquetExampleGen  # noqa: E402

ROLES = {
    "label": "clicked",
    "categorical": ["city", "floor"],
    "numeric": ["price", "row*"],
    "sequence": [{"name": "history"}, {"name": "words", "separator": "|", "max_length": 2}],
}
LOG = pa.table(
    {
        "clicked": [n % 3 == 0 for n in range(90)],
        "city": [None if n % 7 == 0 else f"ü{n % 5}" for n in range(90)],
        "floor": [None if n % 4 == 0 else float(n % 3) for n in range(90)],
        "price": [None if n % 11 == 0 else n / 4 for n in range(90)],
        "history": [None if n % 5 == 0 else list(range(n % 4)) for n in range(90)],
        "words": ["" if n % 6 == 0 else f"a|b{n}|c" for n in range(90)],
        "row": list(range(90)),
        "unused": list(range(90)),
    }
)
HERE = {
    "clicked": lambda row: [int(row["clicked"])],
    "city": lambda row: [] if row["city"] is None else [row["city"].encode()],
    "floor": lambda row: [] if row["floor"] is None else [b"%d" % row["floor"]],  # 1.0 is the id `1`
    "price": lambda row: [] if row["price"] is None else [row["price"]],
    "history": lambda row: [b"%d" % number for number in row["history"] or []],
    "words": lambda row: [word.encode() for word in row["words"].split("|")] if row["words"] else [],  # not cut yet
    "row": lambda row: [row["row"]],
}


def test_rows_pass_with_every_value_that_has_a_role(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet", row_group_size=40)
    flags = {"input": [str(tmp_path / "log.parquet")], "impressions": ROLES, "seed": 3, "valid_fraction": 0.2}
    made = run_nodes([ParquetExampleGen(flags)], tmp_path / "artifacts")
    artifact = made["ParquetExampleGen"]["examples"]
    record = ImpressionManifest.from_json((Path(artifact.uri) / "conversion.json").read_bytes(), file="conversion.json")
    options = impression_options(output="x", **{**flags, "input": tuple(flags["input"])})
    folds = assign_rows(options, open_sources(options.input, split=None, file_format=None))
    for number, split in enumerate(SPLITS):
        rows, expected = _rows(Path(artifact.uri) / f"Split-{split}"), np.flatnonzero(folds == number)
        assert [row["row"] for row in rows] == [[n] for n in expected]
        for row in rows:
            given = LOG.slice(int(row["row"][0]), 1).to_pylist()[0]
            assert row == {name: values(given) for name, values in HERE.items()}
        assert record.splits[split].rows == len(expected)
        assert record.splits[split].clicks == sum(n % 3 == 0 for n in expected)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (LOG.drop(["clicked"]), "column `clicked`: The column is missing"),
        (LOG.drop(["history"]), "column `history`: The column is missing"),
        (LOG.set_column(0, "clicked", pa.array([2] * 90)), "column `clicked`: A label is `2`"),
    ],
)
def test_logs_that_do_not_suit_their_roles_are_refused(log, message, tmp_path):
    pq.write_table(log, tmp_path / "log.parquet")
    generator = ParquetExampleGen({"input": [str(tmp_path / "log.parquet")], "impressions": ROLES})
    with pytest.raises(DataError, match=message):
        run_nodes([generator], tmp_path / "artifacts")


def test_a_pattern_must_not_match_a_column_of_another_role(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"With the columns that patterns match.*city"):
        settle_roles({"input": [str(tmp_path / "log.parquet")], "impressions": {**ROLES, "numeric": ["cit*"]}})


def _rows(directory: Path) -> list[dict[str, list[Any]]]:
    files = [str(path) for path in sorted(directory.glob("*"))]
    rows = []
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        row: dict[str, list[Any]] = {name: [] for name in HERE}
        for name, feature in tf.train.Example.FromString(record).features.feature.items():
            row[name] = list(getattr(feature, feature.WhichOneof("kind") or "int64_list").value)
        rows.append(row)
    return rows
