"""Every frozen configuration beside the numbers its authors published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.config.load import configs_directory, model_name_of
from tfrec.training.model_store import run_config

XE, BPR = "cross-entropy", "bpr-max"
# loss, final activation, units, batch, p_embed, p_hidden, learning rate, momentum, alpha, bpreg, logq
PUBLISHED = {
    # The table of best settings.
    "rsc15/gru4rec": (XE, "linear", 100, 32, 0.1, 0, 0.1, 0, 0.75, 0, 1),
    "yoochoose/gru4rec": (XE, "linear", 480, 48, 0, 0.2, 0.07, 0, 0.2, 0, 1),
    "rees46/gru4rec": (XE, "linear", 512, 240, 0.45, 0, 0.065, 0, 0.5, 0, 1),
    "coveo/gru4rec": (BPR, "elu-1", 512, 144, 0.35, 0, 0.05, 0.4, 0.2, 1.85, 0),
    "retailrocket/gru4rec": (BPR, "elu-0.5", 224, 80, 0.5, 0.05, 0.05, 0.4, 0.4, 1.95, 0),
    "diginetica/gru4rec": (BPR, "elu-1", 512, 128, 0.5, 0.3, 0.05, 0.15, 0.3, 0.9, 0),
    # The parameter file that disagrees with it.
    "rsc15/gru4rec_parameter_file": (XE, "linear", 100, 32, 0, 0.4, 0.2, 0.2, 0.5, 0, 1),
    # The best settings with the other loss.
    "coveo/gru4rec_cross-entropy": (XE, "linear", 512, 32, 0.4, 0.15, 0.03, 0, 0, 0, 1),
    "diginetica/gru4rec_cross-entropy": (XE, "linear", 192, 128, 0.45, 0.15, 0.1, 0, 0, 0, 1),
    "retailrocket/gru4rec_cross-entropy": (XE, "linear", 192, 240, 0.5, 0.05, 0.085, 0.3, 0.3, 0, 1),
    "yoochoose/gru4rec_bpr-max": (BPR, "linear", 448, 48, 0.25, 0, 0.075, 0.1, 0.2, 0.5, 0),
    "rees46/gru4rec_bpr-max": (BPR, "elu-0.5", 512, 32, 0.1, 0, 0.03, 0.55, 0.2, 0.75, 0),
}
LOSS_TRACE = [0.4845, 0.3820, 0.3539, 0.3400, 0.3308, 0.3241, 0.3190, 0.3149, 0.3117, 0.3089]


def path_of(name: str) -> Path:
    folder = configs_directory()
    assert folder is not None
    return folder / "frozen" / f"{name}.yaml"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings(name: str) -> None:
    config = run_config("gru4rec", file=path_of(name))
    model, objective, training = config.model, config.objective, config.training
    assert (
        objective.loss,
        objective.final_activation,
        model.layers,
        training.batch_size,
        model.dropout_embedding,
        model.dropout_hidden,
        config.optimizer.learning_rate,
        config.optimizer.momentum,
        objective.negative_alpha,
        objective.score_regularization,
        objective.logq_strength,
    ) == (*PUBLISHED[name][:2], [PUBLISHED[name][2]], *PUBLISHED[name][3:])
    # The same for all of them.
    assert (model.embedding_mode, model.hidden_activation, model.init_bound) == ("shared", "tanh", 0)
    assert (objective.num_negatives, objective.label_smoothing) == (2048, 0)
    assert (config.optimizer.name, training.epochs, training.time_sort) == ("adagrad", 10, True)
    assert (config.evaluation.cutoffs, config.evaluation.tie_rule) == ([1, 5, 10, 20], "conservative")


def test_only_retailrocket_has_a_published_loss_trace() -> None:
    traces = {name: run_config("gru4rec", file=path_of(name)).training.loss_trace for name in PUBLISHED}
    assert {name: trace for name, trace in traces.items() if trace} == {"retailrocket/gru4rec": LOSS_TRACE}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_header_says_where_it_is_from_and_how_to_run_it(name: str) -> None:
    text = path_of(name).read_text()
    header = text[: text.index("\nmodel:")]
    dataset = name.split("/")[0]
    assert all(line.startswith("# ") for line in header.splitlines())
    for fragment in (
        "# Provenance: ",
        "# Date: 2026-11-22.",
        "Not run here",
        f"python -m tfrec.datasets get {dataset} --from DIR --dataset DS",
        f"python -m tfrec.train --config configs/frozen/{name}.yaml --data DS --output RUN",
    ):
        assert fragment in header


# Recall@1, 5, 10, 20 and MRR@5, 10, 20.
METRICS = {
    "rsc15": ".1845 .4906 .6218 .7283 .2954 .3130 .3205",
    "yoochoose": ".1829 .4478 .5715 .6789 .2783 .2949 .3024",
    "rees46": ".1114 .3010 .4135 .5293 .1778 .1928 .2008",
    "coveo": ".0513 .1496 .2212 .3135 .0852 .0946 .1010",
    "retailrocket": ".1274 .3237 .4207 .5186 .1977 .2107 .2175",
    "diginetica": ".0725 .2369 .3542 .4995 .1288 .1442 .1542",
}


@pytest.mark.parametrize("name", METRICS)
def test_the_header_has_the_published_metrics(name: str) -> None:
    line = next(line for line in path_of(f"{name}/gru4rec").read_text().splitlines() if "recall@1,5,10,20" in line)
    assert [word for word in line.split() if word.startswith(".")] == METRICS[name].split()


def test_the_configurations_are_for_gru4rec() -> None:
    assert {model_name_of(path_of(name)) for name in PUBLISHED} == {"gru4rec"}
