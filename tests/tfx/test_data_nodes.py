"""The data half of the pipeline: clean logs give the dataset of `tfrec.convert`, dirty ones stop before Transform."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

pytestmark = pytest.mark.tfx
pytest.importorskip("tfx", reason="TFX is not installed", exc_type=ImportError)

from tests.harness.tiny_run import tiny_run  # noqa: E402
from tests.tfx.clean_run import CleanRun, data_settings, place_of  # noqa: E402
from tests.tfx.in_process import run_nodes  # noqa: E402
from tfrec.data.column_types import Roles  # noqa: E402
from tfrec.data.conversion import convert  # noqa: E402
from tfrec.data.conversion_options import parse_options  # noqa: E402
from tfrec.data.dataset import InteractionDataset  # noqa: E402
from tfrec.data.item_vectors import read_item_vectors  # noqa: E402
from tfrec.data.sequence_pipeline import sequence_dataset  # noqa: E402
from tfrec.data.synthetic import generate_clickstream  # noqa: E402
from tfrec.errors import ConfigError, DataError  # noqa: E402
from tfrec.evaluation.ranking import evaluate_ranking  # noqa: E402
from tfx_pipeline.anomaly_gate.gate_bounds import load_bounds  # noqa: E402
from tfx_pipeline.data_nodes import data_nodes  # noqa: E402
from tfx_pipeline.parquet_example_gen.component import ParquetExampleGen  # noqa: E402
from tfx_pipeline.preprocessing import time_feature  # noqa: E402
from tfx_pipeline.raw_schema import EventLayout, sequence_schema  # noqa: E402
from tfx_pipeline.side_inputs import SideInputs  # noqa: E402
from tfx_pipeline.trainer_module import TrainerSettings, export_model  # noqa: E402
from tfx_pipeline.transformed_dataset import open_transformed_dataset  # noqa: E402

KINDS = ("kind", "place")
FLAGS = {"user_col": "user_id", "split": "global_time", "test_days": 1, "valid_days": 1, "event_features": KINDS}


def _log() -> pa.Table:
    """Clicks of 50 users with ids of text, who come back: each of a kind and from a place, unless that is missing."""
    clicks = generate_clickstream(300, 60, 6, seed=5)
    users = pa.array([f"ü{session % 50}" for session in clicks["session_id"].to_pylist()])
    draws = np.random.default_rng(1)
    kinds = pa.array(draws.integers(-1, 4, len(users)), mask=draws.random(len(users)) < 0.1)
    places = pa.array(draws.choice(["home", "wörk", "", "sea"], len(users), p=[0.6, 0.3, 0.05, 0.05]))
    return clicks.append_column("user_id", users).append_column("kind", kinds).append_column("place", places)


LOG = _log()


def _settings(root: Path, log: Path) -> Any:
    return data_settings(root, {"input": [str(log)], **FLAGS}, KINDS)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> CleanRun:
    folder = tmp_path_factory.mktemp("clean")
    pq.write_table(LOG, folder / "log.parquet", row_group_size=400)
    nodes, channels = data_nodes(_settings(folder / "pipeline", folder / "log.parquet"))
    assert set(channels) == {"examples", "transformed", "graph", "schema"}
    made = run_nodes(nodes, folder / "artifacts")
    convert(parse_options(input=[str(folder / "log.parquet")], output=str(folder / "DS"), **FLAGS))
    return CleanRun(folder / "pipeline", _settings, made, InteractionDataset.open(folder / "DS"))


def test_transform_gives_the_dataset_of_convert(clean, tmp_path):
    dataset = open_transformed_dataset(clean.graph, clean.transformed(), tmp_path / "DS")
    dataset.verify()
    assert dataset.schema.hash == clean.local.schema.hash, clean.local.schema.diff(dataset.schema)
    assert dataset.item_vocabulary.counts.tolist() == clean.local.item_vocabulary.counts.tolist()
    mine, theirs = (_facts(each) for each in (dataset, clean.local))
    assert mine == theirs
    assert dataset.vocabulary("user").counts.tolist() == clean.local.vocabulary("user").counts.tolist()
    for name in KINDS:
        assert dataset.vocabulary(name).counts.tolist() == clean.local.vocabulary(name).counts.tolist()
    for split in clean.local.splits:
        _assert_same_records(dataset, clean.local, split)
        mine, theirs = (next(iter(sequence_dataset(each, split, 10_000))) for each in (dataset, clean.local))
        for name in KINDS:
            np.testing.assert_array_equal(mine[name], theirs[name])
            assert {0, 2, 3} <= {*np.unique(mine[name])}  # a missing value has index 0
    shards = [Path(path) for path in dataset.shard_paths("train")]
    assert all(shard.is_symlink() for shard in shards)


def test_features_and_vectors_of_items_and_users_are_those_of_convert(clean, tmp_path):
    """The files tell of an item and a user without events, too, which the pipeline's vocabularies do not have."""
    ids = [*clean.local.item_vocabulary.ids.tolist(), 10**9]
    items = {"item_id": ids, "colour": [f"c{n % 3}" for n in range(len(ids))], "size": [n / 2 for n in range(len(ids))]}
    items["tags"] = [[n % 2, n % 5] for n in range(len(ids))]
    users = {"user_id": ["ü3", "nobody", "ü7"], "city": ["Ulm", "Bonn", "Ulm"]}
    for name, table in (("items", items), ("users", users)):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    vectors = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    np.savez(tmp_path / "v.npz", ids=np.array(ids), vectors=vectors)
    flags = {"items": (str(tmp_path / "items.parquet"),), "users": (str(tmp_path / "users.parquet"),)}
    expected = _converted(clean, tmp_path / "local", flags)
    found = SideInputs.found(flags, [f"text={tmp_path / 'v.npz'}"], Roles("user_id", None, "item_id", "timestamp"))
    told = {"settings": TrainerSettings("sasrec", side=found.to_json()).custom_config()["settings"]}
    side = SideInputs.from_custom_config(told)
    dataset = open_transformed_dataset(clean.graph, clean.transformed(), tmp_path / "DS", side)
    dataset.verify()
    assert dataset.schema.hash == expected.schema.hash, expected.schema.diff(dataset.schema)
    for mine, theirs in (
        (dataset.item_features(), expected.item_features()),
        (dataset.user_features(), expected.user_features()),
    ):
        assert mine.known.tolist() == theirs.known.tolist()
        assert mine.vocabulary_sizes == theirs.vocabulary_sizes
        for name, values in theirs.as_tensors().items():
            np.testing.assert_array_equal(mine.as_tensors()[name], values)
    assert dataset.user_features().known.sum() == 2
    np.testing.assert_array_equal(read_item_vectors(dataset, "text")[2:], vectors[:-1])
    # A feature of events would share its vocabulary, whoever asks.
    pq.write_table(pa.table({"item_id": ids, "kind": ids}), tmp_path / "kinds.parquet")
    shared = SideInputs.found({"items": (str(tmp_path / "kinds.parquet"),)}, (), Roles(None, "s", "item_id", "t"))
    with pytest.raises(ConfigError, match="`kind` is a feature of events and of items or users"):
        open_transformed_dataset(clean.graph, clean.transformed(), tmp_path / "DS", shared)
    # A file that is another one by the time it is read is not what was asked for.
    pq.write_table(pa.table({**users, "city": ["Rome"] * 3}), tmp_path / "users.parquet")
    with pytest.raises(DataError, match=r"users\.parquet`: The file has changed"):
        open_transformed_dataset(clean.graph, clean.transformed(), tmp_path / "DS", side)
    assert InteractionDataset.open(tmp_path / "DS").user_features().vocabulary_sizes == {"city": 3}


@pytest.mark.parametrize(
    ("files", "vectors", "words"),
    [
        ({"items": ("no.parquet",)}, (), "no.parquet"),
        ({"items": ("log.parquet",), "item_features": ("colour",)}, (), "The column `colour`"),
        ({"item_features": ("colour",)}, (), "`--item-features` has no effect without `--items`"),
        ({"users": ("log.parquet",)}, (), "needs a log with users"),
        ({}, ("text",), "no new NAME=FILE"),
        ({}, ("text=no.npz",), "no such file of vectors"),
    ],
)
def test_files_of_items_and_users_are_checked_before_the_run(files, vectors, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(LOG, "log.parquet")
    with pytest.raises((ConfigError, DataError), match=words):
        SideInputs.found(files, vectors, Roles(None, "session_id", "item_id", "timestamp"))


def test_one_of_several_files_of_items_that_has_gone_is_missed(tmp_path):
    for name in ("a", "b"):
        pq.write_table(pa.table({"item_id": [name], "colour": ["red"]}), tmp_path / f"{name}.parquet")
    roles = Roles(None, "session_id", "item_id", "timestamp")
    side = SideInputs.found({"items": (f"{tmp_path}/*.parquet",)}, (), roles)
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(DataError, match=r"b\.parquet`: The file has changed"):
        side.write_features(roles, {}, tmp_path)


def _converted(clean: CleanRun, output: Path, flags: dict[str, Any]) -> InteractionDataset:
    log = str(clean.root.parent / "log.parquet")
    convert(parse_options(input=[log], output=str(output), **FLAGS, **flags))
    return InteractionDataset.open(output)


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("long_term_interest", {"event_features": list(KINDS)}, ("timestamp", *KINDS)),
        ("ur4rec", {"retriever": {"dim": 8, "window": 4}}, ("user",)),
    ],
)
def test_a_model_that_is_told_of_events_or_users_ranks_raw_examples_as_offline(name, settings, told, clean, tmp_path):
    """As the Evaluator asks it: raw ids, and raw values of features, missing ones too, in the examples themselves."""
    model = tiny_run(tmp_path / "run", name, clean.local, **settings)
    export_model(tmp_path / "run", tmp_path / "model", ["k=5"])
    assert model.request_features == told
    rank = tf.saved_model.load(str(tmp_path / "model")).signatures["rank_targets"]
    records = []
    for path in sorted(Path(clean.made["ParquetExampleGen"]["examples"].uri, "Split-test").glob("*")):
        records += list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())
    found = rank(examples=tf.constant(records))["rank"].numpy()
    batch = next(iter(sequence_dataset(clean.local, "test", 10_000)))
    expected = evaluate_ranking(model, [batch], cutoffs=[5], keep_ranks=True).ranks
    np.testing.assert_array_equal(found[found > 0], expected)


def test_examples_in_another_order_are_sorted(clean, tmp_path):
    """A distributed runner leaves examples in any order, in any number of files."""
    records = []
    for path in sorted(Path(clean.transformed()["train"]).glob("*")):
        records += list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())
    for number in (0, 1):
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{number}.gz"), "GZIP") as writer:
            for record in records[number::2][::-1]:
                writer.write(record)
    examples = clean.transformed() | {"train": str(tmp_path / "part-*.gz")}
    dataset = open_transformed_dataset(clean.graph, examples, tmp_path / "DS")
    _assert_same_records(dataset, clean.local, "train")


def test_examples_that_are_missing_are_noticed(clean, tmp_path):
    path = next(iter(Path(clean.transformed()["train"]).glob("*")))
    first = next(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())
    with tf.io.TFRecordWriter(str(tmp_path / "part.gz"), "GZIP") as writer:
        writer.write(first)
    with pytest.raises(DataError, match="`train` has 1 transformed examples"):
        open_transformed_dataset(clean.graph, {"train": str(tmp_path / "part.gz")}, tmp_path / "DS")
    assert not (tmp_path / "DS").exists()


def _with_column(name: str, change: Callable[[pa.ChunkedArray], Any]) -> pa.Table:
    return LOG.set_column(LOG.column_names.index(name), name, change(LOG[name]))


def _with_nulls(items: pa.ChunkedArray) -> pa.Array:
    values = items.to_numpy()
    return pa.array(values, mask=np.arange(len(values)) % 10 < 3)  # 30 %


def _flood(items: pa.ChunkedArray) -> pa.Array:
    values = items.to_numpy()
    return pa.array(np.where(np.arange(len(values)) % 2, values, values + 1_000_000))


def _one_item_everywhere(items: pa.ChunkedArray) -> pa.Array:
    values = items.to_numpy()
    return pa.array(np.where(np.arange(len(values)) % 3, values, values[0]))


def _backwards() -> pa.Table:
    """Ten days earlier, rows from the last to the first, and a third of the events of one item."""
    log = _with_column("timestamp", lambda times: pc.subtract(times, 864_000.0))
    log = log.set_column(log.column_names.index("item_id"), "item_id", _one_item_everywhere(LOG["item_id"]))
    return log.take(pa.array(np.arange(log.num_rows)[::-1].copy()))


DIRTY: dict[str, tuple[Callable[[], pa.Table], list[str]]] = {
    "missing column": (lambda: LOG.drop(["item_id"]), [r"The column `item_id` .* does not exist"]),
    "nulls": (
        lambda: _with_column("item_id", _with_nulls),
        [r"column `item_id`, row 1: The id is null \(\d+ such rows"],
    ),
    "type change": (
        lambda: _with_column("item_id", lambda items: pc.cast(items, pa.string())),
        [r"train: Unexpected data type in column `item_id`"],
    ),
    "flood of new ids": (
        lambda: _with_column("item_id", _flood),
        [r"flood of new ids in column `item_id`: \d\d\.\d % of the training events are of \d+ items"],
    ),
    "time going backwards": (
        _backwards,
        [
            r"time going backwards in column `timestamp`: the last event is at 20\d\d-",
            r"time going backwards in column `timestamp`: 100.0 % of the rows are earlier",
            r"drift since the last run in column `item_id`: .*above the threshold 0.1",
        ],
    ),
}


@pytest.mark.parametrize("name", DIRTY)
def test_dirty_data_stop_before_transform(name, clean, tmp_path):
    make, messages = DIRTY[name]
    with pytest.raises(DataError) as error:
        clean.judge(make(), tmp_path)
    for message in messages:
        assert re.search(message, str(error.value))
    if name not in ("missing column", "nulls"):  # which the generator finds
        assert (clean.root / "anomalies.txt").read_text().strip() in str(error.value)


def test_bounds_of_the_gate_are_checked():
    assert load_bounds(["row_reversals=0.5", "plausible_times=false"]).row_reversals == 0.5
    with pytest.raises(ConfigError, match="new_item_events"):
        load_bounds(["new_item_event=0.5"])
    with pytest.raises(ConfigError, match=r"`--anomalies row_reversals` has the value `2"):
        load_bounds(["row_reversals=2"])


def test_the_committed_schema_is_the_one_that_code_makes():
    text = Path("tfx_pipeline/schemas/sessions/schema.pbtxt").read_text()
    assert text_format.Parse(text, schema_pb2.Schema()) == sequence_schema(EventLayout())


def test_time_features_are_those_of_the_calendar():
    monday = 1_717_453_800_000  # Monday, 3 June 2024, 22:30 UTC
    times = tf.constant([0, monday, monday + 2 * 3_600_000], tf.int64)
    assert time_feature("hour", times).numpy().tolist() == [0, 22, 0]
    assert time_feature("weekday", times).numpy().tolist() == [3, 0, 1]


def test_a_feature_must_be_a_column(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet")
    settings = _settings(tmp_path, tmp_path / "log.parquet")
    settings.conversion["event_features"] = ("kinds",)
    with pytest.raises(DataError, match=r"column `kinds` \(--event-features\) does not exist.*`kind`"):
        data_nodes(settings)


def test_flags_that_the_pipeline_cannot_follow_are_refused(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet")
    for flags in ({"items": ["x.parquet"]}, {"unknown_items": "keep"}):
        with pytest.raises(ConfigError, match="does not work in the pipeline"):
            ParquetExampleGen({"input": [str(tmp_path / "log.parquet")], **flags})


def test_the_latest_span_is_read(tmp_path):
    from tfx.components.example_gen.driver import FileBasedDriver

    for span in (1, 2):
        (tmp_path / f"day-{span}").mkdir()
        pq.write_table(LOG, tmp_path / f"day-{span}" / "log.parquet")
    generator = ParquetExampleGen({"input": [str(tmp_path / "day-{SPAN}" / "*.parquet")], **FLAGS})
    resolved = FileBasedDriver(None).resolve_exec_properties(dict(generator.exec_properties), None, None)
    assert resolved["span"] == 2
    assert "day-2/*.parquet" in resolved["input_config"]


def test_what_transform_reads_waits_for_the_gate(tmp_path):
    pq.write_table(LOG, tmp_path / "log.parquet")
    nodes, channels = data_nodes(_settings(tmp_path, tmp_path / "log.parquet"))
    (producer,) = (node for node in nodes if node.id == channels["schema"].producer_component_id)
    assert nodes[place_of(nodes, "AnomalyGate")] in producer.upstream_nodes


def _facts(dataset: InteractionDataset) -> dict[str, Any]:
    """The manifest without what depends on files: compression, shards and sizes of vocabularies."""
    document: dict[str, Any] = dataset.manifest.model_dump(exclude={"compression", "vocabularies"})
    for split in document["splits"].values():
        del split["shards"]
    return document


def _assert_same_records(mine: InteractionDataset, theirs: InteractionDataset, split: str) -> None:
    a, b = (dataset.load_ragged(split) for dataset in (mine, theirs))
    for name in ("items", "timestamps", "offsets", "num_targets", "user_ids", "users"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
