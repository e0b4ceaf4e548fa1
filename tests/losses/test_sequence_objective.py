"""Every objective over sequence states against plain float64 computations with the same draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles.sequence_losses import Negative, target_loss
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.errors import ConfigError
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.sampling.exclusive_draw import exclusive_draw
from tfrec.sampling.user_history import UserHistory

VOCAB, DIM = 22, 4
COUNTS = np.concatenate([[0, 0], np.arange(VOCAB - 2, 0, -1) ** 2])
HISTORY = np.array([[3, 9, 5, 3, 0], [2, 7, 4, 8, 6], [12, 2, 0, 0, 0]], np.int32)
TARGETS = np.array([9, 5, 3, 7, 4, 8, 6, 2], np.int32)
SEQUENCE = np.array([0, 0, 0, 1, 1, 1, 1, 2], np.int32)
SEED = tf.constant([5, 6])
RNG = np.random.default_rng(0)
STATES, VECTORS, BIAS = RNG.normal(size=(8, DIM)), RNG.normal(size=(VOCAB, DIM)), RNG.normal(size=VOCAB)


class Table:
    """Item table over variables, that remembers which rows were asked for."""

    def __init__(self, vectors: tf.Variable, bias: tf.Variable | None) -> None:
        self.vectors, self.bias = vectors, bias
        self.looked_up: list[np.ndarray] = []

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        if tf.executing_eagerly():
            self.looked_up.append(ids.numpy())
        return tf.gather(self.vectors, ids), None if self.bias is None else tf.gather(self.bias, ids)

    def whole(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        return tf.convert_to_tensor(self.vectors), None if self.bias is None else tf.convert_to_tensor(self.bias)


def objective(**settings: Any) -> SequenceObjective:
    return SequenceObjective(SequenceObjectiveConfig(**settings), COUNTS)


def call(loss: SequenceObjective, states: tf.Tensor, table: Table, seed: tf.Tensor = SEED) -> tf.Tensor:
    return loss(
        states,
        tf.constant(TARGETS),
        table,
        history=tf.constant(HISTORY),
        sequence_of_target=tf.constant(SEQUENCE),
        seed=seed,
    )


def variables(with_bias: bool) -> list[tf.Variable]:
    arrays = (STATES, VECTORS, BIAS) if with_bias else (STATES, VECTORS)
    return [tf.Variable(array, dtype=tf.float32) for array in arrays]


def draws_of(loss: SequenceObjective) -> list[list[Negative]]:
    """The draws of every target, with what the samplers say about them."""
    config, sampler, targets = loss.config, loss._sampler, tf.constant(TARGETS)
    seen = [set(HISTORY[row]) if config.exclude_history else set() for row in SEQUENCE]
    if config.negatives == "per-target":
        history = UserHistory(tf.constant(HISTORY)) if config.exclude_history else None
        ids, log_counts, valid = exclusive_draw(
            sampler, config.num_negatives, SEED, targets, history, tf.constant(SEQUENCE)
        )
        rows = zip(ids.numpy(), np.exp(log_counts.numpy()), valid.numpy(), strict=True)
        return [[Negative(*draw) for draw in zip(*row, strict=True)] for row in rows]
    ids, log_q = (tensor.numpy() for tensor in sampler.draw((config.num_negatives,), SEED, targets))
    num_draws = len(ids) - (config.sampler in ("in-batch", "mixed"))
    return [
        [
            Negative(item, num_draws * q, item != target and item not in items)
            for item, q in zip(ids, np.exp(log_q), strict=True)
        ]
        for target, items in zip(TARGETS, seen, strict=True)
    ]


def oracle(loss: SequenceObjective, draws: list[list[Negative]]) -> Callable[..., np.ndarray]:
    """Returns the function from states, vectors and biases to the losses."""
    config = loss.config
    settings: dict[str, Any] = {"logq": config.logq, "smoothing": config.label_smoothing}
    if config.loss == "gbce":
        rate = config.num_negatives / (VOCAB - 3)  # 20 items, of which 19 are not the target
        settings["power"] = rate * (config.gbce_t * (1 - 1 / rate) + 1 / rate)
    settings["regularization"] = config.score_regularization
    settings |= {name: getattr(config, name) for name in ("margin", "temperature", "infonce_share")}
    num_draws = len(draws[0]) - (config.sampler in ("in-batch", "mixed"))
    log_q = loss._sampler.log_probability(tf.constant(TARGETS), tf.constant(TARGETS)).numpy()
    inclusion = 1 - (1 - np.exp(log_q.astype(np.float64))) ** num_draws

    def losses(states: np.ndarray, vectors: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        bias = np.zeros(VOCAB) if bias is None else bias
        if config.similarity == "cosine":
            states = states / np.linalg.norm(states, axis=1, keepdims=True)
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = (states @ vectors.T + bias) / config.temperature
        found = []
        for row, target in enumerate(TARGETS):
            negatives = [(scores[row, draw.item], draw) for draw in draws[row]]
            found.append(target_loss(config.loss, scores[row, target], negatives, inclusion=inclusion[row], **settings))
        return np.array(found)

    return losses


SHARED = {"negatives": "shared", "num_negatives": 12}
OWN = {"negatives": "per-target", "num_negatives": 5}
CASES: list[dict[str, Any]] = [
    {"loss": "sampled-softmax", "sampler": "uniform", "logq": "none", **SHARED},
    {"loss": "sampled-softmax", "sampler": "popularity", "logq": "standard", **SHARED},
    {"loss": "sampled-softmax", "sampler": "popularity", "logq": "refined", "exclude_history": True, **SHARED},
    {"loss": "sampled-softmax", "sampler": "popularity", "logq": "refined", "label_smoothing": 0.1, **SHARED},
    {"loss": "sampled-softmax", "sampler": "popularity", "logq": "standard", "exclude_history": True, **OWN},
    {"loss": "sampled-softmax", "sampler": "uniform", "logq": "refined", "label_smoothing": 0.2, **OWN},
    {"loss": "sampled-softmax", "sampler": "in-batch", "logq": "standard"},
    {"loss": "sampled-softmax", "sampler": "in-batch", "logq": "refined", "exclude_history": True},
    {"loss": "sampled-softmax", "sampler": "mixed", "logq": "refined", "num_negatives": 6},
    {"loss": "sampled-softmax", "sampler": "mixed", "logq": "standard", "num_negatives": 6, "label_smoothing": 0.1},
    {"loss": "infonce"},
    {"loss": "infonce", "sampler": "uniform", "logq": "none", "temperature": 0.2, **OWN},
    {"loss": "triplet"},
    {"loss": "triplet", "sampler": "uniform", "margin": 0.5, "exclude_history": True, **OWN},
    {"loss": "infonce-triplet", "logq": "standard", "infonce_share": 0.6, "exclude_history": True},
    {"loss": "infonce-triplet", "sampler": "uniform", "logq": "none", "infonce_share": 0.3, **SHARED},
    {"loss": "bce", "num_negatives": 1},
    {"loss": "bce", "num_negatives": 3, "exclude_history": False, "sampler": "popularity"},
    {"loss": "bce", "temperature": 2.0, **SHARED},
    {"loss": "gbce", "num_negatives": 6},
    {"loss": "gbce", "gbce_t": 1.0, **SHARED},
    {"loss": "bpr", "num_negatives": 2},
    {"loss": "bpr", "sampler": "in-batch"},
    {"loss": "bpr-max", **SHARED},
    {"loss": "bpr-max", "exclude_history": True, "score_regularization": 0.0, **SHARED},
    {"loss": "bpr-max", "sampler": "uniform", **OWN},
]


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: "-".join(map(str, settings.values())))
def test_loss_and_gradients_of_every_objective(settings: dict[str, Any]) -> None:
    """Gradients are compared along random directions, by central differences of the float64 loss."""
    loss = objective(**settings)
    with_bias = loss.config.similarity == "dot"
    weights = variables(with_bias)
    upstream = np.linspace(0.5, 1.5, len(TARGETS))

    @tf.function(autograph=False)
    def compute() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            losses = call(loss, weights[0], Table(weights[1], weights[2] if with_bias else None))
            total = tf.reduce_sum(losses * tf.constant(upstream, tf.float32))
        return losses, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, weights)]

    found, gradients = compute()
    losses = oracle(loss, draws_of(loss))
    arrays = [STATES, VECTORS, BIAS][: len(weights)]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, losses(*arrays), rtol=2e-5, atol=1e-5)
    for number, gradient in enumerate(gradients):
        for direction in RNG.normal(size=(6, *arrays[number].shape)):
            ends = []
            for step in (1e-5, -1e-5):
                moved = list(arrays)
                moved[number] = arrays[number] + step * direction
                ends.append(float(losses(*moved) @ upstream))
            slope = (ends[0] - ends[1]) / 2e-5
            found_slope = float((gradient.numpy().astype(np.float64) * direction).sum())
            assert found_slope == pytest.approx(slope, abs=1e-4 * float(np.abs(gradient * direction).sum()))


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: "-".join(map(str, settings.values())))
def test_no_row_is_touched_that_was_not_drawn(settings: dict[str, Any]) -> None:
    """The table's gradient is sparse; its rows are the draws and the targets, each once."""
    loss = objective(**settings)
    states, vectors = variables(with_bias=False)
    table = Table(vectors, None)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(call(loss, states, table))
    gradient = tape.gradient(total, vectors)
    assert isinstance(gradient, tf.IndexedSlices)
    rows = gradient.indices.numpy()
    assert len(set(rows)) == len(rows)
    drawn = {draw.item for draws in draws_of(loss) for draw in draws}
    assert set(rows) == drawn | set(TARGETS)
    assert [set(ids) for ids in table.looked_up] == [set(rows)]


def test_full_softmax_leaves_out_the_reserved_rows() -> None:
    states, vectors, bias = variables(with_bias=True)
    loss = objective(loss="softmax", temperature=0.5)
    found = call(loss, states, Table(vectors, bias))
    scores = 2.0 * (STATES @ VECTORS.T + BIAS)[:, 2:]
    expected = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(8), TARGETS - 2]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "sampled-softmax", "bce", "bpr-max"])
def test_half_precision_states_are_summed_in_single_precision(loss: str) -> None:
    states, vectors, bias = variables(with_bias=True)
    half = tf.cast(states, tf.float16)
    found = call(objective(loss=loss), half, Table(vectors, bias))
    expected = call(objective(loss=loss), tf.cast(half, tf.float32), Table(vectors, bias))
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("settings", CASES[::3], ids=lambda settings: "-".join(map(str, settings.values())))
def test_same_seed_same_loss(settings: dict[str, Any]) -> None:
    states, vectors = variables(with_bias=False)
    loss, table = objective(**settings), Table(vectors, None)
    first = call(loss, states, table).numpy()
    np.testing.assert_array_equal(first, call(loss, states, table))
    if loss.config.num_negatives:
        assert not np.array_equal(first, call(loss, states, table, seed=tf.constant([5, 7])))


@pytest.mark.parametrize("loss", ["sampled-softmax", "bpr", "bpr-max", "infonce"])
@pytest.mark.parametrize("negatives", ["shared", "per-target"])
def test_a_target_without_negatives_has_no_loss(loss: str, negatives: str) -> None:
    """Three items, all in the history of the only sequence."""
    config = SequenceObjectiveConfig(
        loss=loss, sampler="uniform", num_negatives=4, negatives=negatives, exclude_history=True
    )
    states, vectors = tf.Variable(STATES[:1], dtype=tf.float32), tf.Variable(VECTORS[:5], dtype=tf.float32)
    with tf.GradientTape() as tape:
        losses = SequenceObjective(config, np.array([0, 0, 3, 2, 1]))(
            states,
            tf.constant([4]),
            Table(vectors, None),
            history=tf.constant([[2, 3, 4, 0]]),
            sequence_of_target=tf.constant([0]),
            seed=SEED,
        )
    np.testing.assert_allclose(losses, [0.0], atol=1e-6)
    for gradient in tape.gradient(losses, [states, vectors]):
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), 0.0, atol=1e-6)


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: "-".join(map(str, settings.values())))
def test_a_batch_without_known_targets_changes_nothing(settings: dict[str, Any]) -> None:
    """As in a batch of sequences of unknown items only."""
    states, vectors = tf.zeros([0, DIM]), tf.Variable(VECTORS, dtype=tf.float32)
    loss = objective(**settings)

    @tf.function(autograph=False)
    def step() -> tuple[tf.Tensor, Any]:
        nothing = tf.zeros([0], tf.int32)
        with tf.GradientTape() as tape:
            losses = loss(
                states,
                nothing,
                Table(vectors, None),
                history=tf.constant([[1, 1, 1], [1, 1, 0]]),
                sequence_of_target=nothing,
                seed=SEED,
            )
            total = tf.reduce_sum(losses)
        return losses, tape.gradient(total, vectors)

    losses, gradient = step()
    assert losses.shape == (0,)
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient), np.zeros_like(VECTORS))


def test_infonce_of_two_by_hand() -> None:
    """Cosines .6 and .8 over a temperature of .05: logits [[12, 16], [16, 12]], so log(1 + e^4) each."""
    states, vectors = tf.constant([[1.0, 0.0], [0.0, 1.0]]), tf.constant([[0, 0], [0, 0], [0.6, 0.8], [0.8, 0.6]])
    losses = SequenceObjective(SequenceObjectiveConfig(loss="infonce", logq="none"), np.array([0, 0, 1, 1]))(
        states,
        tf.constant([2, 3]),
        Table(tf.Variable(vectors), None),
        history=tf.constant([[2], [3]]),
        sequence_of_target=tf.constant([0, 1]),
        seed=SEED,
    )
    np.testing.assert_allclose(losses, [4.01814993] * 2, rtol=1e-6)


def test_infonce_of_the_golden_file(golden: Path) -> None:
    """Negatives of all positions together; one that is a row's own positive is masked there."""
    stored = np.load(golden / "hstu_rope_rms_spec.npz")
    real = stored["item_ids"] > 0
    drawn = tf.constant(stored["neg_ids"][real] + 1)

    class Given:
        """Draws what the file has drawn."""

        def draw(self, shape: object, seed: object, targets: tf.Tensor) -> tuple[tf.Tensor, None]:
            return drawn, None

    config = SequenceObjectiveConfig(loss="infonce", sampler="uniform", num_negatives=1, logq="none")
    loss = SequenceObjective(config, np.r_[0, 0, np.ones(15)])
    loss._sampler = Given()
    table = np.concatenate([np.zeros((1, 8)), stored["w/item_emb"]])
    losses = loss(
        tf.constant(stored["rope/final_l2"][real]),
        tf.constant(stored["pos_ids"][real] + 1),
        Table(tf.Variable(table, dtype=tf.float32), None),
        history=tf.zeros([4, 1], tf.int32),
        sequence_of_target=tf.constant(np.nonzero(real)[0], tf.int32),
        seed=SEED,
    )
    assert stored["neg_mask_blocked"].any()
    np.testing.assert_allclose(tf.reduce_mean(losses), stored["rope/loss_infonce"], rtol=1e-5)


def test_cosine_with_item_biases_is_refused() -> None:
    states, vectors, bias = variables(with_bias=True)
    with pytest.raises(ConfigError, match="no place for item biases"):
        call(objective(loss="infonce"), states, Table(vectors, bias))


@pytest.mark.parametrize("settings", CASES[::3], ids=lambda settings: "-".join(map(str, settings.values())))
def test_no_tensor_of_a_step_is_as_long_as_the_vocabulary(settings: dict[str, Any]) -> None:
    """Looks at every operation of the compiled step, and of the functions in it, for a dimension of that size."""
    vocab_size = 100_003
    loss = SequenceObjective(SequenceObjectiveConfig(**settings), np.r_[0, 0, np.ones(vocab_size - 2)])
    states, vectors = tf.Variable(STATES, dtype=tf.float32), tf.Variable(tf.ones([vocab_size, DIM]))

    @tf.function(autograph=False)
    def step() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(call(loss, states, Table(vectors, None)))
        by_states, by_rows = tape.gradient(total, [states, vectors])
        return by_states, by_rows.indices, by_rows.values

    graph = step.get_concrete_function().graph
    graphs = [graph, *(function.graph for function in graph._functions.values() if hasattr(function, "graph"))]
    assert len(graph.get_operations()) > 20
    for operation in (operation for graph in graphs for operation in graph.get_operations()):
        if operation.type != "Placeholder":  # tables of the sampler, which are captured
            for output in operation.outputs:
                assert vocab_size not in (output.shape.as_list() if output.shape.rank else []), operation.name
