"""From a run to a published version, and what stands in the way."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from rich.console import Console

from tests.harness.planted_shop import item_id, planted_shop, write_items
from tests.harness.tiny_run import tiny_run
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError, SchemaMismatchError
from tfrec.serving.check_export import check_export
from tfrec.serving.export_document import read_export
from tfrec.serving.export_error import ExportError
from tfrec.serving.export_run import ExportOptions, export_run
from tfrec.serving.fresh_process import verify_export
from tfrec.serving.golden_requests import GoldenRequests, Request
from tfrec.serving.index.candidate_lists import best_allowed
from tfrec.serving.replay import GOLDEN_FILE
from tfrec.serving.version_directory import VersionDirectory

QUIET = Console(quiet=True)
pytestmark = pytest.mark.usefixtures("graphs_as_they_are")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return planted_shop(tmp_path_factory.mktemp("shop"), "string")


@pytest.fixture(scope="module")
def run(shop: InteractionDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "two_tower"
    tiny_run(path, "two_tower", shop, use_ids=False)
    return path


@pytest.fixture(scope="module")
def popular(shop: InteractionDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "popularity"
    tiny_run(path, "popularity", shop)
    return path


@pytest.fixture(scope="module")
def published(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1, verified in a fresh process."""
    output = tmp_path_factory.mktemp("models") / "shop"
    export_run(output, ExportOptions(run=run, assignments=["k=9"]), QUIET)
    return output


@pytest.fixture
def models(published: Path, tmp_path: Path) -> Path:
    """A copy of what was published."""
    return Path(shutil.copytree(published, tmp_path / "shop"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def recommend(version: Path, history: list[str], **wishes: Any) -> dict[str, np.ndarray]:
    signature = _signature(version, "recommend")
    inputs = {"k": 30, "exclude_ids": [[]], "allow_ids": [[]], "exclude_history": False, **wishes}
    inputs |= {"history": [history], "history_length": [len(history)]}
    specs = signature.structured_input_signature[1]
    outputs = signature(**{name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()})
    return {name: value.numpy()[0] for name, value in outputs.items()}


def test_a_version_holds_everything(published: Path, run: Path, shop: InteractionDataset) -> None:
    assert names(published) == ["1"]
    assert {"saved_model.pb", "variables", "assets.extra"} <= set(names(published / "1"))
    assert set(names(published / "1" / "assets.extra")) == {
        *("export.json", "golden_requests.json", "model_card.md", "schema.pbtxt", "tf_serving_warmup_requests")
    }
    export = read_export(published / "1")
    assert (export["model"], export["version"], export["config"]["k"]) == ("two_tower", 1, 9)
    assert export["schema_hash"] == shop.schema.hash
    assert export["vocabulary_hash"] == shop.item_vocabulary.content_hash
    assert (export["items"], export["candidates"], export["id_type"]) == (23, 23, "string")
    assert {"serving_default", "recommend", "encode_user", "encode_item", "score", "examples"} == set(
        export["signatures"]
    )
    golden = json.loads((published / "1" / GOLDEN_FILE).read_text())
    assert export["verified"]["requests"] == len(golden) >= 18
    assert "TopKV2" in export["verified"]["ops"]
    default = next(request for request in golden if request["signature"] == "serving_default")
    assert np.shape(default["outputs"]["items"]) == (1, 9)
    card = (published / "1" / "assets.extra" / "model_card.md").read_text()
    for words in (
        "# two_tower, version 1",
        "23 of 23 items",
        "30 users",
        "leaks across users in time",
        shop.schema.hash,
    ):
        assert words in card
    assert "This run was not evaluated." in card


def test_warm_up_requests_are_those_of_the_signatures(published: Path) -> None:
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(published / "1" / "assets.extra" / "tf_serving_warmup_requests"))
    loaded = _load(published / "1").signatures
    asked = set()
    for record in records.as_numpy_iterator():
        request = log.PredictionLog.FromString(record).predict_log.request
        asked.add(request.model_spec.signature_name)
        signature = loaded[request.model_spec.signature_name]
        signature(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})
    assert asked == set(loaded)


def test_a_planted_corruption_is_found_and_nothing_is_published(
    popular: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrupted(self: GoldenRequests) -> list[Request]:
        requests = compose(self)
        requests[2]["outputs"]["scores"][0][1] += 1e-3
        return requests

    compose = GoldenRequests.compose
    monkeypatch.setattr(GoldenRequests, "compose", corrupted)
    with pytest.raises(ExportError, match=r"1 answers differ .* plain \(recommend\): `scores`\[0, 1\]"):
        export_run(tmp_path / "shop", ExportOptions(run=popular), QUIET)
    assert names(tmp_path / "shop") == []


def test_an_index_that_ignores_exclusions_is_not_published(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ignoring(scores: Any, items: Any, excluded: Any, k: Any) -> Any:
        return best_allowed(scores, items, None, k)

    monkeypatch.setattr("tfrec.serving.index.vector_index.best_allowed", ignoring)
    every_cluster = ["k=5", "index.kind=ivf", "index.num_probes=5"]
    with pytest.raises(ExportError, match=r"`a history` \(serving_default\) wrongly: .* is excluded"):
        export_run(tmp_path / "shop", ExportOptions(run=run, assignments=every_cluster, verify=False), QUIET)
    assert not (tmp_path / "shop").exists()


@pytest.mark.slow
def test_another_item_side_without_training(
    models: Path, shop: InteractionDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First other item features, then another index and fewer candidates; what is not given stays."""
    # In the item file, 0 and 4 change places, so do their vectors, made of features alone.
    (tmp_path / "swapped").mkdir()
    write_items(tmp_path / "swapped" / "items.parquet", "string", swapped=(0, 4))
    options: dict[str, Any] = {"user_col": "user_id", "time_unit": "ms", "split": "leave_one_out"}
    options |= {"unknown_items": "keep", "cold_items": "keep", "items": (str(tmp_path / "swapped" / "items.parquet"),)}
    convert(ConversionOptions(output=str(tmp_path / "swapped" / "DS"), **options), table=_log_of(shop))
    changed = InteractionDataset.open(tmp_path / "swapped" / "DS")
    assert changed.schema.hash == shop.schema.hash
    export_run(models, ExportOptions(items_only=True, data=changed.path, verify=False), QUIET)
    assert read_export(models / "2")["config"] == read_export(models / "1")["config"]
    pair = [item_id(0, "string"), item_id(4, "string")]
    old, new = (_signature(models / version, "encode_item")(ids=tf.constant(pair))["vector"] for version in "12")
    assert np.abs(old[0] - old[1]).max() > 1e-3
    np.testing.assert_allclose(new, old[::-1], rtol=1e-5, atol=1e-6)

    # These ids hold line breaks, which a text file of candidates cannot: planted as an earlier export would have them.
    listed = shop.item_vocabulary.ids[[0, 3, 8, 20]].tolist()
    path = models / "2" / "assets.extra" / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "candidates": 4}))
    (models / "2" / "assets.extra" / "candidates.json").write_text(json.dumps(listed))
    every_cluster = ["index.kind=ivf", "index.num_clusters=2", "index.num_probes=2", "k=5"]
    monkeypatch.setattr("tfrec.serving.export_run._LOW_RECALL", 1.01)  # the warning of an index that finds too little
    told = Console(file=io.StringIO(), width=120)
    export_run(models, ExportOptions(items_only=True, assignments=every_cluster, verify=False), told)
    assert "The index finds 100.0 % of what exact search finds." in told.file.getvalue()
    assert "WARNING: that is little" in told.file.getvalue()
    export = read_export(models / "3")
    assert (export["config"]["k"], export["config"]["index"]["kind"], export["candidates"]) == (5, "ivf", 4)
    assert (export["recall"], export["data"]) == (1.0, changed.path)  # all clusters are searched
    before, after = (recommend(models / version, listed[:2]) for version in "23")
    everything = [text.decode() for text in before["items"]]
    assert [text.decode() for text in after["items"]] == [item for item in everything if item in listed]
    np.testing.assert_allclose(after["scores"], before["scores"][np.isin(everything, listed)], rtol=1e-5)
    stranger = next(item for item in everything if item not in listed)
    allowed = recommend(models / "3", [], allow_ids=[[stranger, listed[2]]])
    assert [text.decode() for text in allowed["items"]] == [listed[2], "", "", ""]


def _signature(version: Path, name: str) -> Any:
    return _load(version).signatures[name]


@functools.cache
def _load(version: Path) -> Any:
    return tf.saved_model.load(str(version))


def _log_of(shop: InteractionDataset) -> pa.Table:
    arrays = shop.load_ragged("test")  # leave-one-out: whole histories
    items = shop.item_vocabulary.raw(arrays.items)
    users = np.repeat(arrays.user_ids, arrays.lengths)
    return pa.table({"user_id": users.tolist(), "item_id": items, "timestamp": arrays.timestamps})


def test_other_weights_are_not_the_same_model(models: Path, popular: Path) -> None:
    with pytest.raises(DataError, match="version 1 holds `two_tower`"):
        export_run(models, ExportOptions(run=popular, items_only=True), QUIET)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ConfigError, "No run is given"),
        ({"assignments": ["index.num_probe=3"]}, ConfigError, "num_probes"),
        ({"assignments": ["k=0"]}, ConfigError, "`k` has the value `0`"),
        ({"assignments": ["index.kind=scann"], "dry_run": True}, ConfigError, "ScaNN is an operation of its own"),
        ({"assignments": ["index.kind=ivf"]}, ConfigError, "`popularity` has no item vectors"),
        ({"keep": 0}, ConfigError, "`--keep` is 0"),
        ({"version": 1}, ConfigError, "not above version 1"),
        ({"items_only": True, "output": "nowhere"}, DataError, "no exported version"),
    ],
)
def test_refused(
    options: dict[str, Any],
    error: type[Exception],
    words: str,
    models: Path,
    popular: Path,
    tmp_path: Path,
) -> None:
    given = {key: value for key, value in options.items() if key != "output"}
    if given and "items_only" not in given:
        given["run"] = popular
    with pytest.raises(error, match=words):
        export_run(tmp_path / options["output"] if "output" in options else models, ExportOptions(**given), QUIET)
    assert names(models) == ["1"]


def test_dry(models: Path, run: Path) -> None:
    assert export_run(models, ExportOptions(run=run, dry_run=True), QUIET)["path"] == str(models / "2")
    assert names(models) == ["1"]


def test_files_that_are_not_the_exported_ones_are_found(models: Path) -> None:
    version = models / "1"
    files = read_export(version)["files"]
    golden, variables = GOLDEN_FILE, "variables/variables.index"
    assert {golden, variables, "saved_model.pb"} <= set(files)
    assert files[golden] == hashlib.sha256((version / golden).read_bytes()).hexdigest()
    with (version / "assets.extra" / "model_card.md").open("a") as card:
        card.write("The weights may be passed on.")  # the card asks for it
    assert check_export(version, verify=False)["version"] == 1
    (version / variables).write_bytes(b"damaged")
    (version / golden).write_text("[]")
    with pytest.raises(DataError, match=rf"2 of {len(files)} files are not .*: {golden}, {variables}\."):
        check_export(version, verify=False)
    damaged = version / "assets.extra" / "export.json"
    shown = {**read_export(version), "golden_sha256": files[golden]}  # as versions had it that knew no other digest
    damaged.write_text(json.dumps({name: value for name, value in shown.items() if name != "files"}))
    with pytest.raises(DataError, match=f"1 of 1 files are not .*: {golden}"):
        check_export(version, verify=False)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (subprocess.TimeoutExpired("python", 3600), "did not end within 3600 s"),
        ('{"requests": 0, "foreign_ops": [], "foreign_modules": [], "differences": []}', "no golden requests"),
    ],
)
def test_a_replay_without_result_is_no_proof(
    outcome: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replayed(*_: Any, **__: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return subprocess.CompletedProcess([], 0, stdout=outcome, stderr="")

    monkeypatch.setattr("subprocess.run", replayed)
    with pytest.raises(ExportError, match=words):
        verify_export(tmp_path)


def test_candidates_from_a_file_and_old_versions_that_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(self: VersionDirectory, keep: int) -> list[int]:
        raise DataError("Another process has held the directory.", file=self.path)

    whole = planted_shop(tmp_path / "shop", "int64")  # ids of the other type hold line breaks
    tiny_run(tmp_path / "popularity", "popularity", whole)
    listed = whole.item_vocabulary.ids[[7, 0, 3]].tolist()
    (tmp_path / "candidates.txt").write_text("\n".join(map(str, listed)))
    monkeypatch.setattr(VersionDirectory, "prune", held)
    told = Console(file=io.StringIO(), width=200)
    options = ExportOptions(
        run=tmp_path / "popularity", candidates=tmp_path / "candidates.txt", verify=False, keep=1, assignments=["k=5"]
    )
    document = export_run(tmp_path / "models", options, told)
    assert (document["version"], document["candidates"], document["removed"]) == (1, 3, [])
    assert "WARNING: The old versions stay:" in told.file.getvalue()
    version = tmp_path / "models" / "1"
    assert json.loads((version / "assets.extra" / "candidates.json").read_text()) == [
        whole.item_vocabulary.ids[place] for place in (0, 3, 7)
    ]
    assert recommend(version, [])["items"].tolist()[:4] == [*whole.item_vocabulary.ids[[0, 3, 7]]]
    assert read_export(version)["server"] == ".".join(tf.__version__.split(".")[:2])
    assert ("TF_SERVING_TAG" in told.file.getvalue()) == (tuple(map(int, tf.__version__.split(".")[:2])) > (2, 19))


def test_keep(models: Path, popular: Path) -> None:
    assert export_run(models, ExportOptions(run=popular, verify=False, keep=1), QUIET)["removed"] == [1]
    assert names(models) == ["2"]
    assert read_export(models / "2")["verified"] is None


def test_other_data_are_refused_with_a_diff(
    published: Path, shop: InteractionDataset, run: Path, tmp_path: Path
) -> None:
    assert check_export(published / "1", data=shop.path, run=run, verify=False)["version"] == 1
    other = planted_shop(tmp_path / "other", "string", cold=5)
    with pytest.raises(SchemaMismatchError, match=r"Version 1 does not fit these data: .*`item`: expected .*received"):
        check_export(published / "1", data=other.path, verify=False)
    with pytest.raises(DataError, match="Not a version that tfrec exported"):
        check_export(tmp_path, verify=False)
    with pytest.raises(DataError, match=r"(?s)A directory of versions, not a version: 1\..*Pass one of them.*shop/1"):
        check_export(published, verify=False)
