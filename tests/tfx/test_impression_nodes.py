"""The data half for click models: the dataset of `tfrec.convert --impressions`, and a gate that stops dirty logs."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tfx
pytest.importorskip("tfx", reason="TFX is not installed", exc_type=ImportError)

from tests.harness.tiny_click_run import CLICK_MODELS, tiny_settings  # noqa: E402
from tests.tfx.clean_run import CleanRun, data_settings  # noqa: E402
from tests.tfx.in_process import run_nodes  # noqa: E402
from tfrec.config.click_export_config import ClickExportConfig  # noqa: E402
from tfrec.config.load import load_section  # noqa: E402
from tfrec.data.impressions.impression_batches import impression_batches  # noqa: E402
from tfrec.data.impressions.impression_conversion import convert_impressions  # noqa: E402
from tfrec.data.impressions.impression_dataset import ImpressionDataset  # noqa: E402
from tfrec.data.impressions.impression_options import impression_options  # noqa: E402
from tfrec.errors import ConfigError, DataError  # noqa: E402
from tfrec.evaluation.score_impressions import logits_function  # noqa: E402
from tfrec.serving.clicks.served_click_model import ServedClickModel  # noqa: E402
from tfrec.training.impression_experiment import ENCODER_FOLDER  # noqa: E402
from tfrec.training.model_store import build_model, run_config  # noqa: E402
from tfx_pipeline import tuner_module  # noqa: E402
from tfx_pipeline.data_nodes import curated_schema, data_nodes  # noqa: E402
from tfx_pipeline.open_transformed import open_transformed  # noqa: E402
from tfx_pipeline.trainer_module import tuned_assignments, types_of_examples  # noqa: E402

ROWS = 400
ROLES = {
    "label": "clicked",
    "min_count": 3,
    "categorical": ["day", {"name": "city", "min_count": 12}, {"name": "last", "vocabulary": "token"}],
    "numeric": [
        "price_a",
        "*_b",
        {"name": "age", "scaling": "quantile", "missing": -1},
        {"name": "i", "scaling": "none"},
    ],
    "sequence": [
        {"name": "seq", "max_length": 3, "vocabulary": "token"},
        {"name": "words", "separator": "|", "max_length": 2, "keep": "first"},
        {"name": "paid", "kind": "numbers", "scaled_as": "price_a"},
    ],
}
TARGET = {"feseq": ["model.target=[last]"], "bst": ["model.target=[last]"], "din": ["model.target=[last]"]}
SPLIT = {"split": "day", "day_column": "day", "valid_days": 1, "test_days": 1}


def _log() -> pa.Table:
    """Numbers are multiples of 1/4: float32, which examples hold, has them exactly."""
    rng = np.random.default_rng(5)
    quarters = rng.integers(-40, 400, (3, ROWS)) / 4.0
    tokens = rng.integers(1, 30, (ROWS, 5))
    return pa.table(
        {
            "clicked": rng.integers(0, 2, ROWS).astype(np.int8),
            "day": [f"d{n * 5 // ROWS}" for n in range(ROWS)],
            "city": [[None, "", "München", "a\nb\t", "c", f"rare{n % 40}"][n % 6] for n in range(ROWS)],
            "last": tokens[:, -1].astype(float),
            "price_a": pa.array(quarters[0], mask=rng.random(ROWS) < 0.2),
            "price_b": quarters[1],
            "age": pa.array(quarters[2] // 20, mask=rng.random(ROWS) < 0.2),
            "i": rng.integers(0, 5, ROWS),
            "seq": [None if n % 9 == 0 else ",".join(map(str, tokens[n, : n % 6])) for n in range(ROWS)],
            "words": [f"w{n % 4}| x |" if n % 5 else "" for n in range(ROWS)],
            "paid": pa.array([[] if n % 3 == 0 else [n / 4, 2.5] for n in range(ROWS)], pa.list_(pa.float64())),
        }
    )


LOG = _log()


def _settings(root: Path, log: Path) -> Any:
    return data_settings(root, {"input": [str(log)], "impressions": ROLES, **SPLIT})


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> CleanRun:
    folder = tmp_path_factory.mktemp("clean")
    log = folder / "log.parquet"
    pq.write_table(LOG, log, row_group_size=150)
    nodes, _ = data_nodes(_settings(folder / "pipeline", log))
    made = run_nodes(nodes, folder / "artifacts")
    convert_impressions(impression_options(output=str(folder / "DS"), input=(str(log),), impressions=ROLES, **SPLIT))
    return CleanRun(folder / "pipeline", _settings, made, ImpressionDataset.open(folder / "DS"))


def test_transform_gives_the_dataset_of_convert(clean, tmp_path):
    dataset = open_transformed(clean.graph, clean.transformed(), tmp_path / "DS")
    assert isinstance(dataset, ImpressionDataset)
    dataset.verify()
    assert dataset.encoder.fields == clean.local.encoder.fields
    assert dataset.encoder.hash == clean.local.encoder.hash
    for name, vocabulary in clean.local.encoder.vocabularies.items():
        assert dataset.encoder.vocabularies[name].counts.tolist() == vocabulary.counts.tolist()
    assert dataset.manifest.sources == clean.local.manifest.sources
    for split in ("train", "valid", "test"):
        assert dataset.num_rows(split) == clean.local.num_rows(split) == (240 if split == "train" else 80)
        assert dataset.num_clicks(split) == clean.local.num_clicks(split) > 0
        mine, theirs = (next(iter(impression_batches(each, split, ROWS))) for each in (dataset, clean.local))
        assert set(mine) == set(theirs)
        for name in theirs:
            np.testing.assert_array_equal(mine[name].numpy(), theirs[name].numpy(), err_msg=f"{split} {name}")
    assert Path(dataset.shard_paths("train")[0]).is_symlink()


def test_examples_that_are_missing_are_noticed(clean, tmp_path):
    given = clean.transformed()
    with pytest.raises(DataError, match=r"`train` has 80 transformed examples .* wrote 240"):
        open_transformed(clean.graph, {"train": given["test"]}, tmp_path / "DS")
    assert not (tmp_path / "DS").exists()


def _changed(name: str, values: Any) -> pa.Table:
    return LOG.set_column(LOG.column_names.index(name), name, values)


def _dirty() -> pa.Table:
    """Other cities, and others again on the last day; few clicks; no prices in training."""
    towns = [f"town{n % 7}" if n < 320 else "elsewhere" for n in range(ROWS)]
    log = _changed("city", pa.array(towns))
    columns = {
        "clicked": pa.array([int(n % 20 == 0) for n in range(ROWS)]),
        "price_a": pa.array([None] * 300 + [2.0] * 100, pa.float64()),
    }
    for name, values in columns.items():
        log = log.set_column(log.column_names.index(name), name, values)
    return log


def test_dirty_data_stop_before_transform(clean, tmp_path):
    with pytest.raises(DataError) as error:
        clean.judge(_dirty(), tmp_path)
    for message in (
        r"train: Column dropped in column `price_a`",
        r"drift since the last run in column `city`: .*above the threshold 0.1",
        r"flood of new values in column `city`: 100.0 % of the training values are none of the last run",
        r"flood of new values in column `city`: 100.0 % of the test values are none of the training rows",
        r"changed click rate in column `clicked`: 5.000 % of the training rows are clicks",
        r"changed share of missing values in column `price_a`: 100.0 % are missing",
    ):
        assert re.search(message, str(error.value)), str(error.value)


def test_values_that_do_not_suit_their_role_stop_at_once(clean, tmp_path):
    with pytest.raises(DataError, match="column `price_b`: Not a number"):
        clean.judge(_changed("price_b", pa.array(["cheap"] * ROWS)), tmp_path)


def test_a_root_is_of_sequences_or_of_impressions(clean):
    with pytest.raises(ConfigError, match="is of impressions, and the data are sequences"):
        curated_schema(clean.root, {"input": "clicks.parquet"})


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_every_click_model_reads_raw_examples_as_transformed_ones(name, clean, tmp_path):
    """What the Evaluator asks of an exported model, and what it was trained on."""
    config = run_config(name, assignments=[*tiny_settings(name), *TARGET.get(name, [])])
    model: Any = build_model(config, clean.local)
    random = np.random.default_rng(11)
    for weight in model.trainable_weights:
        weight.assign(random.normal(0.0, 0.5, weight.shape).astype(np.float32))
    raw = Path(clean.made["ParquetExampleGen"]["examples"].uri) / "Split-test"
    files = [str(path) for path in sorted(raw.glob("*"))]
    examples = tf.constant(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))
    clean.local.encoder.save(tmp_path / "run" / ENCODER_FOLDER)
    types = load_section(ClickExportConfig, [types_of_examples(tmp_path / "run")])
    served = ServedClickModel(model, clean.local.encoder, types).serialized(examples)
    batch = next(iter(impression_batches(clean.local, "test", ROWS, max_length=model.max_length)))
    expected = logits_function(model)(batch)
    assert name == "prior" or np.ptp(expected) > 0.1
    np.testing.assert_allclose(served["logit"], expected, atol=1e-5)


def test_the_tuner_searches_settings_of_click_models(clean, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner_module, "transformed_dataset", lambda _fn_args, _output: clean.local)
    space = tmp_path / "space.yaml"
    space.write_text("space: {model.embedding_dim: {type: choice, values: [2, 4]}}\n")
    told = tuner_module.TunerSettings(
        "dnn", assignments=("training.epochs=1", "model.hidden=[4]"), trials=1, objective="auc", space=str(space)
    )
    fn_args = SimpleNamespace(custom_config=told.custom_config(), working_dir=str(tmp_path / "work"))
    tuner = tuner_module.tuner_fn(fn_args).tuner
    tuner.search()
    (best,) = tuner.get_best_hyperparameters()
    config = run_config("dnn", assignments=tuned_assignments(best.get_config()))
    assert config.model.embedding_dim in (2, 4)
