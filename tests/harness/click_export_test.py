"""What every click model must pass once it is registered: its export answers as `tfrec.predict` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tests.harness.planted_impressions import impressions
from tests.harness.tiny_click_run import tiny_click_run
from tfrec.config.click_export_config import ClickExportConfig
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.serving.clicks.click_requests import ClickRequests
from tfrec.serving.clicks.offline_click_answers import OfflineClickAnswers
from tfrec.serving.clicks.served_click_model import ServedClickModel
from tfrec.serving.client.click_inputs import MISSING_NUMBER
from tfrec.serving.replay import foreign_ops, graph_ops, replay
from tfrec.training.predict_impressions import PredictionOptions, predict_impressions

NUM_ROWS = 150
INPUTS = {"home.city": "home_city"}


def run_click_export_test(name: str, dataset: ImpressionDataset, folder: Path) -> None:
    """Exports a tiny model, saves and loads it, and compares it with the predictions for a file.

    Args:
        name: Registered name.
        dataset: The planted impressions.
        folder: An empty directory.
    """
    model = tiny_click_run(folder / "run", name, dataset)
    table = impressions(NUM_ROWS, seed=7, strange=True)
    expected = predicted(folder, table)
    served = ServedClickModel(model, dataset.encoder)
    tf.saved_model.save(served, str(folder / "saved"), signatures=served.signatures())
    assert foreign_ops(graph_ops(folder / "saved")) == []
    signatures = tf.saved_model.load(str(folder / "saved")).signatures
    assert set(signatures) == {"serving_default", "score", "score_lists", "serialized"}
    found = ask(signatures["score"], inputs_of(table))
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-found["logit"])), expected, rtol=1e-6, atol=1e-6)
    if name != "prior":
        assert expected.std() > 0.01
    golden = ClickRequests(OfflineClickAnswers(model, dataset.encoder), served.columns, list(signatures)).compose()
    assert {request["signature"] for request in golden} == set(signatures)
    assert replay(signatures, json.loads(json.dumps(golden))) == []


def predicted(folder: Path, table: pa.Table, *, balanced: bool = False) -> Any:
    """What `tfrec.predict` writes for a table by the run in a directory, float64 `[rows]`."""
    pq.write_table(table, folder / "test.parquet")
    output = folder / "predictions.csv"
    options = PredictionOptions(
        folder / "run", (str(folder / "test.parquet"),), output, balanced=balanced, overwrite=True
    )
    predict_impressions(options)
    return pd.read_csv(output)["clicked"].to_numpy()


def inputs_of(table: pa.Table, types: ClickExportConfig | None = None) -> dict[str, Any]:
    """A table as the inputs of `score`, by hand."""
    chosen = {} if types is None else types.types
    inputs = {}
    for column in table.column_names:
        if column in ("ID", "clicked"):
            continue
        values, kind = table[column].to_pylist(), chosen.get(column, "")
        if column in ("price", "age", "plain"):
            missing: Any = MISSING_NUMBER if kind == "int64" else np.nan
        else:
            missing = MISSING_NUMBER if kind == "int64" else np.nan if kind == "float" else ""
            values = values if kind else [None if value is None else str(value) for value in values]
        inputs[INPUTS.get(column, column)] = [missing if value is None else value for value in values]
    return inputs


def ask(signature: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Calls a signature with lists, and returns arrays."""
    specs = signature.structured_input_signature[1]
    assert specs.keys() == inputs.keys()
    outputs = signature(**{name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()})
    return {name: value.numpy() for name, value in outputs.items()}
