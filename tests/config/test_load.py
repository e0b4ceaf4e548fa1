"""Precedence, aliases, unknown keys, values outside their domain."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tfrec.config.export_config import ExportConfig
from tfrec.config.gru4rec_config import GRU4RecConfig, parse_official_params
from tfrec.config.load import dump_yaml, load_run_config, load_section, parse_assignment, preset_path, read_yaml
from tfrec.config.run_config import SessionRunConfig
from tfrec.config.ur4rec_config import UR4RecConfig
from tfrec.errors import ConfigError


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    monkeypatch.setenv("TFREC_CONFIGS", str(folder))
    return folder


def load(**sources) -> SessionRunConfig:
    config = load_run_config("gru4rec", GRU4RecConfig, training_scheme="session_parallel", **sources)
    assert isinstance(config, SessionRunConfig)
    return config


def test_last_source_wins(presets: Path, tmp_path: Path) -> None:
    (presets / "gru4rec.yaml").write_text("training: {epochs: 2, batch_size: 16}\nmodel: {layers: [8]}\n")
    file = tmp_path / "mine.yaml"
    file.write_text("training: {epochs: 3}\nseed: 1\n")
    config = load(file=file, overlays=[("flags", {"seed": 2})], assignments=["seed=5", "objective.loss=bpr"])
    assert (config.training.epochs, config.training.batch_size, config.model.layers) == (3, 16, [8])
    assert (config.seed, config.objective.loss, config.training.block_steps) == (5, "bpr", 50)


def test_paper_names_are_aliases(presets: Path) -> None:
    config = load(assignments=["objective.n_sample=7", "objective.bpreg=0.5", "model.dropout_p_hidden=0.3"])
    assert (config.objective.num_negatives, config.objective.score_regularization) == (7, 0.5)
    assert config.model.dropout_hidden == 0.3
    assert "n_sample" not in dump_yaml(config)


def test_an_alias_in_a_later_source_overrides_the_field_name(presets: Path) -> None:
    (presets / "gru4rec.yaml").write_text("objective: {num_negatives: 5}\n")
    assert load(assignments=["objective.n_sample=7"]).objective.num_negatives == 7


@pytest.mark.parametrize(
    ("assignment", "fragments"),
    [
        ("training.epoch=3", ["training.epoch", "Did you mean `epochs`?"]),
        ("trainig.epochs=3", ["trainig", "Did you mean `training`?"]),
        ("model.layer=[3]", ["model.layer", "Did you mean `layers`?"]),
        ("training=3", ["training", "section"]),
        ("objective.loss=bprmax", ["objective.loss", "bprmax", "Did you mean `bpr-max`?"]),
        ("training.epochs=0", ["training.epochs", "0", "greater than or equal to 1"]),
        ("model.layers=[0]", ["model.layers", "at least one unit"]),
        ("optimizer.learning_rate=fast", ["optimizer.learning_rate", "fast", "number"]),
        ("seed", ["not an assignment"]),
        ("model.name=sasrec", ["sasrec", "gru4rec"]),
    ],
)
def test_bad_keys_and_values_are_named(presets: Path, assignment: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(assignments=[assignment])
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "places"),
    [
        ("training.epochs=3", "`stages.NAME.epochs` (NAME: pretrain_sasrec, pretrain_retriever, joint_finetune, "),
        ("training.patience=3", "`stages.NAME.patience` (NAME: pretrain_sasrec, "),
        ("model.learning_rate=1", "`sasrec_optimizer.learning_rate` or `retriever_optimizer.learning_rate`?"),
        ("model.n_sample=7", "`objective.num_negatives`?"),
        ("training.seed=7", "`seed` or "),
    ],
)
def test_a_key_of_another_section_is_shown_there(presets: Path, assignment: str, places: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_run_config("ur4rec", UR4RecConfig, training_scheme="stages", assignments=[assignment])
    assert f"`{assignment.partition('=')[0]}` in `--set`. Did you mean {places}" in str(caught.value)


def test_every_source_of_a_contradiction_is_named_once(presets: Path) -> None:
    (presets / "ur4rec.yaml").write_text("seed: 1\n")
    many = ["seed=3", "objective.similarity=cosine", "model.retriever.dim=8", "model.sasrec.similarity=dot"]
    with pytest.raises(ConfigError) as caught:
        load_run_config("ur4rec", UR4RecConfig, training_scheme="stages", assignments=many)
    assert "contradicts itself" in str(caught.value)
    assert caught.value.remedy == f"Sources, last wins: preset `{presets / 'ur4rec.yaml'}`, `--set`."


def test_a_key_given_twice_is_refused(presets: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("objective: {num_negatives: 5, n_sample: 6}\n")
    with pytest.raises(ConfigError, match="given twice"):
        load(file=file)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "!!python/object/apply:os.system ['true']"])
def test_files_that_are_not_a_mapping_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        read_yaml(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml.*does not exist"):
        read_yaml(tmp_path / "none.yaml")


def test_the_dump_reads_back_to_the_same_configuration(presets: Path, tmp_path: Path) -> None:
    config = load(assignments=["training.epochs=3", "model.layers=[5, 6]", "data.path=DS"])
    file = tmp_path / "config.yaml"
    file.write_text(dump_yaml(config))
    assert load(file=file).model_dump() == config.model_dump()


def test_models_that_count_have_no_training_section(presets: Path) -> None:
    with pytest.raises(ConfigError, match="training"):
        load_run_config("popularity", GRU4RecConfig, training_scheme="counts", assignments=["training.epochs=2"])


def test_assignment_values_are_yaml() -> None:
    assert parse_assignment("a.b=[1, x]") == {"a": {"b": [1, "x"]}}
    assert parse_assignment("a=null") == {"a": None}


def test_settings_outside_a_run_change_key_by_key_and_name_their_flag() -> None:
    earlier = ("the earlier export", {"k": 7, "index": {"kind": "ivf", "num_probes": 3}})
    changed = load_section(ExportConfig, ["index.num_clusters=5", "k=9"], flag="--export", base=earlier)
    assert (changed.k, changed.index.kind, changed.index.num_clusters, changed.index.num_probes) == (9, "ivf", 5, 3)
    for text, problem in [
        ("k=0", "`--export k` has the value `0`"),
        ("k", "`--export k` is not an assignment"),
        ("kk=1", "`kk` in `--export`"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            load_section(ExportConfig, [text], flag="--export", base=earlier)


def test_every_shipped_configuration_is_valid() -> None:
    from tfrec.config.impression_schema import ImpressionSchema
    from tfrec.config.load import configs_directory, model_name_of, read_yaml
    from tfrec.training.model_store import run_config

    folder = configs_directory()
    assert folder is not None
    files = sorted(folder.rglob("*.yaml"))
    assert files
    roles = folder / "impressions"  # which column is what, for `tfrec.convert --impressions`
    for file in files:
        if folder / "tuning" in file.parents:  # search spaces have tests of their own
            continue
        if roles in file.parents:
            ImpressionSchema.model_validate(read_yaml(file))
            continue
        name = model_name_of(file)
        assert name, file
        run_config(name, file=file)
    assert preset_path("gru4rec") == folder / "gru4rec.yaml"


def test_official_parameter_string() -> None:
    """The setting of the official parameter file for RSC15."""
    sections = parse_official_params(
        "layers=100,batch_size=32,dropout_p_embed=0.0,dropout_p_hidden=0.4,learning_rate=0.2,momentum=0.2,"
        "n_sample=2048,sample_alpha=0.5,bpreg=0.0,logq=1.0,loss=cross-entropy,constrained_embedding=True,n_epochs=10"
    )
    assert sections == {
        "model": {
            "layers": [100],
            "dropout_embedding": 0.0,
            "dropout_hidden": 0.4,
            "embedding_mode": "shared",
        },
        "training": {"batch_size": 32, "epochs": 10},
        "optimizer": {"learning_rate": 0.2, "momentum": 0.2},
        "objective": {
            "num_negatives": 2048,
            "negative_alpha": 0.5,
            "score_regularization": 0.0,
            "logq_strength": 1.0,
            "loss": "cross-entropy",
        },
    }
    assert yaml.safe_load(dump_yaml(load(overlays=[("params", sections)])))["objective"]["loss"] == "cross-entropy"


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("layers=64/32", ("model", "layers"), [64, 32]),
        ("loss=bpr-max,elu_param=0.5", ("objective", "final_activation"), "elu-0.5"),
        ("loss=bpr-max,elu_param=0", ("objective", "final_activation"), "linear"),
        ("loss=bpr-max,final_act=elu-1", ("objective", "final_activation"), "elu-1"),
        ("constrained_embedding=False,embedding=layersize", ("model", "embedding_mode"), "separate"),
        ("constrained_embedding=False,embedding=96", ("model", "embedding_dim"), 96),
        ("constrained_embedding=0", ("model", "embedding_mode"), "none"),
    ],
)
def test_official_values(text: str, path: tuple[str, str], expected: object) -> None:
    section, key = path
    assert parse_official_params(text)[section][key] == expected


@pytest.mark.parametrize(
    ("assignments", "logq", "activation"),
    [
        ([], 1.0, "linear"),
        (["objective.loss=xe_logit"], 1.0, "linear"),
        (["objective.loss=bpr-max"], 0.0, "elu-0.5"),
        (["objective.loss=top1"], 0.0, "linear"),
        (["objective.loss=bpr-max", "objective.logq=0.5", "objective.final_act=tanh"], 0.5, "tanh"),
    ],
)
def test_settings_that_follow_the_loss(assignments: list[str], logq: float, activation: str) -> None:
    """With the shipped preset, whichever way the loss is set; the effective configuration shows the values."""
    objective = load(assignments=assignments).objective
    assert (objective.logq_strength, objective.final_activation) == (logq, activation)
    loss = objective.loss
    assert load(overlays=[("params", parse_official_params(f"loss={loss}"))]).objective.loss == loss


@pytest.mark.parametrize(("name", "rate"), [("adagrad", 0.1), ("rmsprop", 0.001), ("adadelta", 1.0), ("adam", 0.001)])
def test_every_optimiser_has_a_learning_rate_of_its_own(name: str, rate: float) -> None:
    assert load(assignments=[f"optimizer.name={name}"]).optimizer.learning_rate == rate
    assert load(assignments=[f"optimizer.name={name}", "optimizer.learning_rate=0.3"]).optimizer.learning_rate == 0.3


def test_softmax_does_not_go_with_other_losses() -> None:
    with pytest.raises(ConfigError, match="final_act=softmax"):
        parse_official_params("loss=bpr-max,final_act=softmax")


def test_softmax_is_part_of_the_cross_entropy() -> None:
    assert parse_official_params("loss=cross-entropy,final_act=softmax") == {"objective": {"loss": "cross-entropy"}}


@pytest.mark.parametrize("text", ["layers", "layer=100", "n_epochs=ten", "constrained_embedding=maybe"])
def test_official_string_errors(text: str) -> None:
    with pytest.raises(ConfigError, match=text.split("=")[0]):
        parse_official_params(text)
