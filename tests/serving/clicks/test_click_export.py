"""From the run of a click model to a published version, and to answers of a server."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from rich.console import Console

from tests.harness.click_export_test import ask, inputs_of, predicted
from tests.harness.planted_impressions import impressions
from tests.harness.tiny_click_run import tiny_click_run
from tests.serving.server.model_server import ModelServer
from tfrec import export, publish
from tfrec.command import run_command
from tfrec.config.click_export_config import ClickExportConfig
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError, DataError, SchemaMismatchError, ServingError
from tfrec.serving.check_export import check_export
from tfrec.serving.client import ClickClient
from tfrec.serving.export_document import read_export
from tfrec.serving.export_run import ExportOptions, export_run

QUIET = Console(quiet=True)
pytestmark = pytest.mark.usefixtures("graphs_as_they_are")


@pytest.fixture(scope="module")
def folder(impression_data: ImpressionDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`run`, and version 1 in `models`, verified in a fresh process."""
    path = tmp_path_factory.mktemp("clicks")
    tiny_click_run(path / "run", "din", impression_data)
    export_run(path / "models", ExportOptions(run=path / "run", assignments=["calibrate=balanced"]), QUIET)
    return path


def signature(folder: Path, name: str) -> Any:
    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures[name]
    function.keep = loaded
    return function


def test_a_version_holds_everything(folder: Path, impression_data: ImpressionDataset) -> None:
    version = folder / "models" / "1"
    assert {path.name for path in (version / "assets.extra").iterdir()} == {
        *("export.json", "golden_requests.json", "model_card.md", "schema.pbtxt", "tf_serving_warmup_requests")
    }
    document = read_export(version)
    assert (document["kind"], document["model"], document["version"]) == ("clicks", "din", 1)
    assert document["fields_hash"] == impression_data.encoder.hash
    rate = impression_data.num_clicks("train") / impression_data.num_rows("train")
    assert document["logit_shift"] == pytest.approx(math.log((1 - rate) / rate))
    assert document["inputs"]["home.city"] == {"input": "home_city", "kind": "category", "type": "text"}
    assert document["inputs"]["recent"]["separator"] == "^"
    golden = json.loads((version / "assets.extra/golden_requests.json").read_text())
    assert document["verified"]["requests"] == len(golden) == 10
    card = (version / "assets.extra/model_card.md").read_text()
    for words in ("# din, version 1", "`home_city`", "last 6 values", "they are no click rates", "was not evaluated"):
        assert words in card
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(version / "assets.extra/tf_serving_warmup_requests")).as_numpy_iterator()
    requests = [log.PredictionLog.FromString(record).predict_log.request for record in records]
    assert {request.model_spec.signature_name for request in requests} == set(document["signatures"])
    request = next(one for one in requests if one.model_spec.signature_name == "score_lists")
    loaded = signature(version, "score_lists")
    loaded(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})


def test_balanced_probabilities_are_those_of_predict(folder: Path) -> None:
    table = impressions(40, seed=3, strange=True)
    plain, balanced = predicted(folder, table), predicted(folder, table, balanced=True)
    middle = (plain > 0.01) & (plain < 0.99)  # the file has eight digits
    shift = read_export(folder / "models/1")["logit_shift"]
    np.testing.assert_allclose((_logits(balanced) - _logits(plain))[middle], shift, rtol=1e-3)
    assert middle.sum() > 10
    found = ask(signature(folder / "models/1", "serving_default"), inputs_of(table))
    np.testing.assert_allclose(found["probability"], balanced, rtol=1e-6, atol=1e-6)


def _logits(probabilities: Any) -> Any:
    return np.log(probabilities) - np.log1p(-probabilities)


def test_columns_are_sent_in_the_types_of_a_file(folder: Path, tmp_path: Path) -> None:
    table = impressions(40, seed=4, strange=True)
    numbers = [
        [int(token) for token in (text or "").split(",") if token.strip().isdecimal()]
        for text in table["seq"].to_pylist()
    ]
    table = table.set_column(table.column_names.index("seq"), "seq", pa.array(numbers))
    like = folder / "test.parquet"
    expected = predicted(folder, table)  # arrow lists now
    options = ExportOptions(run=folder / "run", like=like, assignments=["types={age: float}"], verify=False)
    document = export_run(tmp_path / "models", options, QUIET)
    types = {name: told["type"] for name, told in document["inputs"].items() if told["type"] != "text"}
    assert types == {
        **{"inventory_id": "int64", "gender": "float", "seq": "int64"},
        **dict.fromkeys(("price", "age", "plain"), "float"),
    }
    inputs = inputs_of(table, ClickExportConfig(types=types))
    width = max(map(len, numbers))
    inputs["seq"] = [[*row, *[3] * (width - len(row))] for row in numbers]
    inputs["seq_length"] = [len(row) for row in numbers]
    for name, separator in (("recent", "^"), ("paid", ",")):  # arrow's own lists are not trimmed
        lists = [text.split(separator) if text else [] for text in inputs[name]]
        lists = [[token.strip() for token in row] for row in lists]
        width = max(map(len, lists))
        inputs[name] = [[*row, *["1"] * (width - len(row))] for row in lists]
        inputs[f"{name}_length"] = [len(row) for row in lists]
    version = Path(document["path"])
    found = ask(signature(version, "score_lists"), inputs)
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-6, atol=1e-6)
    example = tf.train.Example()
    row = {name: values[5] for name, values in inputs.items()}
    for name, told in document["inputs"].items():
        values = row[told["input"]]
        values = values[: row[f"{name}_length"]] if isinstance(values, list) else [values]
        if told["type"] == "text":
            example.features.feature[name].bytes_list.value[:] = [value.encode() for value in values if value]
        elif told["type"] == "int64":
            example.features.feature[name].int64_list.value[:] = values
        else:
            example.features.feature[name].float_list.value[:] = values
    answer = signature(version, "serialized")(examples=tf.constant([example.SerializeToString()]))
    np.testing.assert_allclose(answer["probability"].numpy(), expected[5:6], rtol=1e-5)


def test_a_version_is_checked_against_files_and_data(
    folder: Path, impression_data: ImpressionDataset, tmp_path: Path
) -> None:
    version = folder / "models" / "1"
    found = check_export(version, data=impression_data.path, run=folder / "run", verify=False)
    assert (found["model"], found["version"]) == ("din", 1)
    run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
    fields = run / "encoder" / "fields.json"
    fields.write_text(fields.read_text().replace('"low": -', '"low": -9'))
    with pytest.raises(SchemaMismatchError, match="scalings or lengths of lists differ"):
        check_export(version, run=run, verify=False)
    damaged = Path(shutil.copytree(version, tmp_path / "1"))
    with (damaged / "saved_model.pb").open("ab") as file:
        file.write(b" ")
    with pytest.raises(DataError, match=r"1 of \d+ files .* saved_model.pb"):
        check_export(damaged, verify=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"items_only": True}, "`--items-only` is for recommenders"),
        ({"candidates": Path("x")}, "`--candidates` is for recommenders"),
        ({"data": "DS"}, "`--data` is for recommenders"),
        ({"assignments": ["index.kind=ivf"]}, "`index` is for recommenders"),
        ({"assignments": ["k=5"]}, "`k` is for recommenders"),
        ({"assignments": ["calibrate=much"]}, "calibrate"),
        ({"assignments": ["types={seq: float}"]}, "list of ids"),
        ({"keep": 0}, "Keep at least 1"),
    ],
)
def test_what_a_click_model_cannot_do(folder: Path, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        export_run(tmp_path / "models", ExportOptions(run=folder / "run", **options), QUIET)
    assert not (tmp_path / "models").exists()


def test_commands_say_so_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ["--output", str(folder / "models")]
    assert run_command(export.main, ["--run", str(folder / "run"), *models, "--dry-run"]) == 0
    assert f"Would export din to `{folder / 'models' / '2'}`" in capsys.readouterr().out
    assert run_command(export.main, [*models, "--items-only"]) == 2
    assert "version 1 is a click model, which has no items" in capsys.readouterr().err
    assert run_command(publish.main, ["--run", str(folder / "run"), "--redis", "redis://localhost:1"]) == 2
    assert "`din` is a click model: it scores rows, it has no catalogue" in " ".join(capsys.readouterr().err.split())


def test_a_server_answers_rows(folder: Path, server: ModelServer) -> None:
    shutil.copytree(folder / "models" / "1", server.root / "clicks" / "1")
    server.wait_for("clicks", 1)
    table = impressions(12, seed=5, strange=True)
    rows = table.to_pylist()
    expected = predicted(folder, table, balanced=True)
    for url in server.urls:
        with ClickClient(url, model="clicks", timeout=120) as client:
            assert set(client.metadata().signatures) >= {"score", "score_lists", "serialized"}
            np.testing.assert_allclose(client.score(rows), expected, rtol=1e-5, atol=1e-6)
            lists = [{**row, "seq": (row["seq"] or "").split(",") if row["seq"] else None} for row in rows]
            lists = [{**row, "recent": [], "paid": np.array(["1.5"])} for row in lists]
            texts = [{**row, "recent": None, "paid": "1.5"} for row in rows]
            same = [n for n, row in enumerate(rows) if " " not in (row["seq"] or "")]  # lists are not trimmed
            assert any(rows[n]["seq"] for n in same)
            np.testing.assert_allclose(client.score(lists)[same], client.score(texts)[same], rtol=1e-5)
            with pytest.raises(ConfigError, match="Row 1 has no `gender`"):
                client.score([rows[0], {name: value for name, value in rows[1].items() if name != "gender"}])
            with pytest.raises(ConfigError, match="`price` is sent as float64, received `'1'`"):
                client.score([{**rows[0], "price": "1"}])
            with pytest.raises(ConfigError, match="no rows"):
                client.score([])
            example = tf.train.Example()
            example.features.feature["gender"].bytes_list.value.append(b"2.0")
            nothing: dict[str, Any] = dict.fromkeys(rows[0])
            [found] = client.score_examples([example.SerializeToString()])
            assert found == pytest.approx(client.score([{**nothing, "gender": 2.0}])[0], rel=1e-5)
    with (
        ClickClient(server.grpc_url, model="clicks", timeout=120) as client,
        pytest.raises(ServingError, match="infinite"),
    ):
        client.score([{**rows[0], "price": math.inf}])
