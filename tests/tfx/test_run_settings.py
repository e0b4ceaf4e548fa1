"""Flags of the pipeline's command: mistakes are found before anything runs, passwords stay out of the settings."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

import apache_beam as beam  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.runners.portability.fn_api_runner import FnApiRunner  # noqa: E402

from tests.harness.tiny_click_run import CLICK_MODELS  # noqa: E402
from tfrec.config import load  # noqa: E402
from tfrec.errors import ConfigError, DataError  # noqa: E402
from tfrec.tuning import read_space  # noqa: E402
from tfx_pipeline.beam_flags import beam_flags  # noqa: E402
from tfx_pipeline.impressions.conversion_flags import SEQUENCES_ONLY, impression_flags  # noqa: E402
from tfx_pipeline.parquet_example_gen.input_patterns import input_patterns  # noqa: E402
from tfx_pipeline.run import main  # noqa: E402
from tfx_pipeline.run_settings import load_gate, make_settings  # noqa: E402
from tfx_pipeline.split_names import makes_valid  # noqa: E402

VALID = {"input": ("x.parquet",), "valid_days": 1.0}
CLICKS = {"input": ("x.parquet",), "impressions": {"categorical": ["city"], "sequence": ["seq"]}, "split": "random"}


def settings(tmp_path: Path, **flags: Any) -> Any:
    given: dict[str, Any] = {"root": tmp_path, "conversion": {"input": ("x.parquet",)}, "model": "gru4rec", **flags}
    return make_settings(**given)


def test_bounds_that_are_given_take_the_place_of_the_default_ones() -> None:
    gate = load_gate(["minimum.recall@10=0.25", "minimum.mrr@5=0.1", "cold_history=3"])
    assert gate.minimum == {"recall@10": 0.25, "mrr@5": 0.1}
    assert gate.cold_history == 3
    assert gate.max_slice_loss == {"recall@20": 0.05}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "gru4rek"}, "gru4rec"),
        ({"gate": ["minimun.recall@10=1"]}, "minimum"),
        ({"gate": ["minimum.recall@10=high"]}, "minimum.recall@10"),
        ({"gate": ["minimum.recall=0.1"]}, "not a metric"),
        ({"assignments": ["training.epoch=3"]}, "Did you mean `epochs`"),
        ({"assignments": ["data.path=DS"]}, "own data set"),
        ({"assignments": ["training.patience=2"]}, "validation split"),
        ({"runner": "FlinkRuner"}, "FlinkRunner"),
        ({"runner": "DataflowRunner"}, "workers do not see the directory"),
        ({"beam": ["--direct_nm_workers=2"]}, "Did you mean `--direct_num_workers`"),
        ({"export": ["index.knd=ivf"]}, "kind"),
        ({"model": "popularity", "redis": "redis://localhost"}, "no vectors"),
        ({"model": "long_term_interest"}, "Pass --split random_user"),
        ({"model": "feseq"}, "predicts clicks"),
        ({"model": "din"}, "--impressions SCHEMA.yaml"),
        ({"conversion": CLICKS}, "ranks items and cannot learn of impressions"),
        ({"model": "din", "conversion": CLICKS, "gate": ["minimum.recall@20=0.1"]}, "no metric"),
        ({"model": "din", "conversion": CLICKS, "gate": ["cold_history=2"]}, "cold_history"),
        ({"model": "din", "conversion": CLICKS, "assignments": ["evaluation.slices=[town]"]}, "slices` names `town`"),
        ({"model": "din", "conversion": CLICKS, "export": ["k=5"]}, "`k`"),
        ({"model": "din", "conversion": CLICKS, "export": ["types={city: int64}"]}, "raw examples hold ids as text"),
        ({"model": "din", "conversion": {**CLICKS, "valid_fraction": 0.0}}, "validation split"),
        ({"model": "din", "conversion": {**CLICKS, "test_fraction": 0.0}}, "no split `test`"),
        ({"model": "popularity", "tune": 3, "conversion": VALID}, "no search space for `popularity`"),
        ({"tune": 3, "searcher": "gird", "conversion": VALID}, "searcher `gird`"),
        ({"tune": 3, "objective": "auc", "conversion": VALID}, "objective `auc`"),
        ({"tune": 3, "space": Path("none.yaml"), "conversion": VALID}, "none.yaml` does not exist"),
        ({"tune": 3}, "needs a validation split"),
        ({"tune": 3, "gate": ["split=valid"], "conversion": VALID}, "--gate split=test"),
        ({"assignments": ["training.patience=2"], "gate": ["split=valid"], "conversion": VALID}, "model is chosen"),
        ({"redis": "http://localhost"}, "redis://"),
    ],
)
def test_mistakes_are_named(flags: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        settings(tmp_path, **flags)


def test_click_models_are_told_what_is_theirs(tmp_path: Path) -> None:
    """Every registered one, without a word about it in the pipeline."""
    for name in CLICK_MODELS:
        found = settings(tmp_path, model=name, conversion=CLICKS, gate=["maximum.logloss=0.2"], redis="redis://h:1")
        assert found.gate.maximum == {"logloss": 0.2}
        assert found.gate.minimum == {"auc": 0.5}
        assert found.rules.slices == ["day_of_week", "hour", "inventory_id"]
        assert found.redis is None
        assert "RedisExporter is left out" in found.remarks[0]
        assert "Not broken down by `day_of_week`, `hour`, `inventory_id`" in found.remarks[1]


def test_flags_of_impressions(tmp_path: Path) -> None:
    file = tmp_path / "roles.yaml"
    file.write_text("categorical: [city, day]\n")
    given = {"input": ("x.parquet",), "valid": (), "user_col": None, "item_col": "item_id", "seed": 3, "test_days": 2.0}
    found = impression_flags(file, given, "day")
    assert found == {
        "input": ("x.parquet",),
        "impressions": {"categorical": ["city", "day"]},
        "split": "day",
        "day_column": "day",
        "seed": 3,
        "test_days": 2,
    }
    assert impression_flags(file, {"input": ("x.parquet",)}, None)["split"] == "random"
    with pytest.raises(ConfigError, match="`--user-col` is for sequences"):
        impression_flags(file, {**given, "user_col": "u"}, None)
    with pytest.raises(ConfigError, match="`--test-days` does not go with `--split random`"):
        impression_flags(file, given, None)
    with pytest.raises(ConfigError, match="test_days"):
        impression_flags(file, {**given, "test_days": 1.5}, "day")


def test_flags_of_sequences_are_left_out_when_they_have_their_defaults() -> None:
    """Of the command: otherwise impressions would be refused because of flags that nobody gave."""
    defaults = {name: flag.default for name, flag in inspect.signature(main).parameters.items()}
    for name, default in SEQUENCES_ONLY.items():
        assert (defaults[name] or default) == default, name


def test_other_files_of_items_train_and_search_anew(tmp_path: Path) -> None:
    items = tmp_path / "items.parquet"
    told = {"side": {"items": (str(items),), "item_features": ("genre",)}, "conversion": VALID, "tune": 2}
    found = []
    for genres in (["a"], ["a", "b"]):
        pq.write_table(pa.table({"item_id": range(len(genres)), "genre": genres}), items)
        made = settings(tmp_path, **told)
        found.append((str(made.trainer.custom_config()), str(made.tuner.custom_config())))
        assert (made.trainer, made.tuner) == (settings(tmp_path, **told).trainer, settings(tmp_path, **told).tuner)
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]
    with pytest.raises(ConfigError, match="`--items` is of items or users, and the log is of impressions"):
        settings(tmp_path, **{**told, "conversion": CLICKS, "model": "dnn", "tune": 0})
    with pytest.raises(ConfigError, match="`genre` is a feature of events and of items or users"):
        settings(tmp_path, **{**told, "conversion": {**VALID, "event_features": ("genre",)}})
    with pytest.raises(DataError, match="The column `genra`"):
        settings(tmp_path, **{**told, "side": {"items": (str(items),), "item_features": ("genra",)}})


def test_presets_and_spaces_are_part_of_what_decides_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TFX knows the Trainer and the Tuner by their `custom_config`."""
    shipped, own = load.configs_directory(), tmp_path / "configs"
    assert shipped is not None
    (own / "tuning").mkdir(parents=True)
    for name in ("gru4rec.yaml", "tuning/gru4rec.yaml"):
        shutil.copyfile(shipped / name, own / name)
    for module in (load, read_space):
        monkeypatch.setattr(module, "configs_directory", lambda: own)

    def keys() -> tuple[str, str]:
        found = settings(tmp_path, tune=2, conversion=VALID)
        return str(found.trainer.custom_config()), str(found.tuner.custom_config())

    first = keys()
    assert keys() == first
    (own / "tuning" / "gru4rec.yaml").write_text("space: {model.dropout_hidden: {type: float, min: 0.1, max: 0.2}}\n")
    second = keys()
    assert second[0] == first[0]
    assert second[1] != first[1]
    with (own / "gru4rec.yaml").open("a") as file:
        file.write("\nseed: 77\n")
    third = keys()
    assert third[0] != second[0]


def test_the_password_is_in_the_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFREC_REDIS_URL", "")
    found = settings(tmp_path, redis="redis://ann:secret@cache:6380/2")
    assert found.redis == "redis://ann:***@cache:6380/2"
    assert "secret" not in repr(found)


def test_flags_for_beam() -> None:
    assert beam_flags("", []) == ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
    assert beam_flags("DirectRunner", ["--direct_num_workers=2"])[-2:] == (
        "--direct_running_mode=in_memory",
        "--direct_num_workers=2",
    )
    for runner in ("", "DirectRunner"):  # the name DirectRunner may choose an engine that has to be downloaded
        options = PipelineOptions(list(beam_flags(runner, [])))
        assert isinstance(beam.Pipeline(options=options).runner, FnApiRunner)
    remote = beam_flags("FlinkRunner", ["--flink_master=h:1"])
    assert remote[0] == "--runner=FlinkRunner"
    assert remote[-1] == "--flink_master=h:1"
    assert any(flag.startswith("--setup_file=") and flag.endswith("setup.py") for flag in remote)


def test_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`--data` is `s3://shop/\*.parquet`, but the pipeline works on files"):
        input_patterns(["s3://shop/*.parquet"])
    with pytest.raises(ConfigError, match="--root"):
        main(root=Path("gs://shop/pipeline"), data=["x.parquet"])
    assert not Path("gs:").exists()


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [
        ({}, False),
        ({"valid_days": 1.0}, True),
        ({"user_col": "u"}, True),
        ({"user_col": "u", "test_days": 1.0}, False),
        ({"user_col": "u", "valid_fraction": 0}, False),
        ({"split": "leave_one_out"}, True),
        ({"train": ("a",), "test": ("b",)}, False),
        ({"train": ("a",), "valid": ("b",), "test": ("c",)}, True),
        ({**CLICKS}, True),
        ({**CLICKS, "valid_fraction": 0.0}, False),
        ({**CLICKS, "split": "day", "valid_fraction": 0.0}, True),
        ({**CLICKS, "split": "day", "valid_days": 0}, False),
        ({**CLICKS, "split": "given", "train": ("a",), "test": ("c",)}, False),
    ],
)
def test_which_rules_make_a_validation_split(conversion: dict[str, Any], expected: bool) -> None:
    assert makes_valid(conversion) == expected


def test_without_tfx_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs TFX.*make setup.*extra `tfx`"):
        main(root=tmp_path, data=["x.parquet"])
