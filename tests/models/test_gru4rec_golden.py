"""GRU4Rec against numbers of the official TensorFlow port (five training steps, three embedding modes)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.data.session_blocks import session_blocks
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad

SHIFT = 2  # the reference counts items from 0; here 0 is padding and 1 out of vocabulary
RUNS = {
    "ce_mom00": (ObjectiveConfig(loss="cross-entropy", num_negatives=5), 0.0),
    "ce_mom02": (ObjectiveConfig(loss="cross-entropy", num_negatives=5), 0.2),
    "bprmax_mom00": (
        ObjectiveConfig(loss="bpr-max", final_activation="elu-0.5", logq_strength=0.0, num_negatives=5),
        0.0,
    ),
    "bprmax_mom02": (
        ObjectiveConfig(loss="bpr-max", final_activation="elu-0.5", logq_strength=0.0, num_negatives=5),
        0.2,
    ),
}


class PlannedSampler:
    """Hands out the negatives that the reference drew."""

    def __init__(self, negatives: np.ndarray, log_weights: np.ndarray) -> None:
        self._negatives = tf.constant(negatives)
        self._log_weights = tf.constant(log_weights)

    def sample(self, shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
        assert shape == tuple(self._negatives.shape)
        return self._negatives

    def log_weight(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._log_weights, ids)


def padded(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((SHIFT, *rows.shape[1:]), rows.dtype), rows])


@pytest.fixture(scope="module")
def reference(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "gru4rec.npz"))


@pytest.mark.parametrize("run", RUNS)
def test_five_training_steps_end_with_the_weights_of_the_reference(run: str, reference: dict[str, np.ndarray]) -> None:
    objective_config, momentum = RUNS[run]
    lanes, items, units, _ = reference["hparams_B_N_L_nsample"]
    blocks = list(session_blocks([(reference["session_items"] + SHIFT, reference["session_lengths"])], lanes, 5))
    assert [block.num_steps for block in blocks] == [5]
    block = blocks[0]

    counts = padded(reference["support"])
    objective = CandidateObjective(objective_config, counts)
    negatives = np.stack([reference[f"step{t}_neg_ids"] + SHIFT for t in range(1, 6)]).astype(np.int32)
    objective.sampler = PlannedSampler(negatives, 0.5 * np.log(np.maximum(counts, 1.0)))
    model = GRU4Rec(GRU4RecConfig(layers=[int(units)]), int(items) + SHIFT)
    cell = model.stack.cells[0]
    model.items.vectors.assign(padded(reference["init_Wy"]))
    model.items.bias.assign(padded(reference["init_By"])[:, 0])
    cell.input_kernel.assign(reference["init_Wx"])
    cell.gate_kernel.assign(reference["init_Wrz"])
    cell.candidate_kernel.assign(reference["init_Wh"])
    cell.bias.assign(reference["init_Bh"][0])
    optimizer = RowSparseAdagrad(0.1, momentum=momentum)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    model.prepare_training(objective, int(lanes))

    # One block per step, so that the state and the loss after every single step can be compared.
    for step in range(5):
        objective.sampler = PlannedSampler(negatives[step : step + 1], 0.5 * np.log(np.maximum(counts, 1.0)))
        rows = slice(step, step + 1)
        active = block.active[step]
        before = np.where(block.starts[step][:, None], 0.0, model.lane_states[0].numpy())[active]
        np.testing.assert_allclose(before, reference[f"{run}_step{step + 1}_H_before"], atol=1e-5)
        np.testing.assert_array_equal(block.inputs[step][active], reference[f"step{step + 1}_in_ids"] + SHIFT)
        np.testing.assert_array_equal(block.targets[step][active], reference[f"step{step + 1}_out_ids"] + SHIFT)
        model.reset_metrics()
        model.train_step(
            {
                "inputs": tf.constant(block.inputs[rows]),
                "targets": tf.constant(block.targets[rows]),
                "starts": tf.constant(block.starts[rows]),
                "active": tf.constant(block.active[rows]),
                "num_steps": tf.constant(1),
            }
        )
        after = model.lane_states[0].numpy()[active]
        np.testing.assert_allclose(after, reference[f"{run}_step{step + 1}_H_after"], atol=1e-5)
        # The reference divides the summed loss by the configured number of lanes, the tracker by the active ones.
        loss = model.loss_tracker.result().numpy() * active.sum() / lanes
        np.testing.assert_allclose(loss, reference[f"{run}_losses"][step], rtol=1e-5)
        np.testing.assert_allclose(
            model.items.vectors.numpy()[SHIFT:], reference[f"{run}_step{step + 1}_Wy"], atol=2e-5
        )

    final = {
        "Wy": model.items.vectors.numpy()[SHIFT:],
        "By": model.items.bias.numpy()[SHIFT:, None],
        "Wx": cell.input_kernel.numpy(),
        "Wrz": cell.gate_kernel.numpy(),
        "Wh": cell.candidate_kernel.numpy(),
        "Bh": cell.bias.numpy()[None],
        "acc_Wy": optimizer.slots["accumulator"][optimizer._get_variable_index(model.items.vectors.value)].numpy()[
            SHIFT:
        ]
        - optimizer.epsilon,
    }
    if momentum:
        final["velocity_Wy"] = optimizer.velocities[optimizer._get_variable_index(model.items.vectors.value)].numpy()[
            SHIFT:
        ]
    for name, value in final.items():
        np.testing.assert_allclose(value, reference[f"{run}_final_{name}"], atol=3e-5, err_msg=name)


def test_one_block_of_five_steps_equals_five_blocks_of_one_step(reference: dict[str, np.ndarray]) -> None:
    lanes, items, units, _ = (int(value) for value in reference["hparams_B_N_L_nsample"])
    counts = padded(reference["support"])
    tables = []
    for block_steps in (5, 1):
        objective = CandidateObjective(ObjectiveConfig(num_negatives=0), counts)
        model = GRU4Rec(GRU4RecConfig(layers=[units]), items + SHIFT, seed=3)
        model.compile(optimizer=RowSparseAdagrad(0.1, momentum=0.2), jit_compile=False)
        model.prepare_training(objective, lanes)
        for block in session_blocks(
            [(reference["session_items"] + SHIFT, reference["session_lengths"])], lanes, block_steps
        ):
            model.train_step(
                {
                    name: tf.constant(getattr(block, name))
                    for name in ("inputs", "targets", "starts", "active", "num_steps")
                }
            )
        tables.append(model.items.vectors.numpy())
    np.testing.assert_array_equal(tables[0], tables[1])


@pytest.mark.parametrize(
    ("variant", "config"),
    [
        ("two_layer_shared", GRU4RecConfig(layers=[5, 6], embedding_mode="shared")),
        ("separate_embedding", GRU4RecConfig(layers=[6], embedding_mode="separate", embedding_dim=4)),
        ("no_embedding", GRU4RecConfig(layers=[5], embedding_mode="none")),
    ],
)
def test_embedding_modes_give_the_scores_and_gradients_of_the_reference(
    variant: str, config: GRU4RecConfig, golden: Path
) -> None:
    stored = dict(np.load(golden / "gru4rec_variants.npz"))
    weights = {
        key.removeprefix(f"{variant}/w/"): value for key, value in stored.items() if key.startswith(f"{variant}/w/")
    }
    model = GRU4Rec(config, 11 + SHIFT)
    model.items.vectors.assign(padded(weights["Wy"]))
    model.items.bias.assign(padded(weights["By"])[:, 0])
    if model.inputs_table is not None:
        model.inputs_table.vectors.assign(padded(weights["E"]))
    for depth, cell in enumerate(model.stack.cells, start=1):
        kernel = weights[f"layer{depth}/Wx"]
        cell.input_kernel.assign(padded(kernel) if config.embedding_mode == "none" else kernel)
        cell.gate_kernel.assign(weights[f"layer{depth}/Wrz"])
        cell.candidate_kernel.assign(weights[f"layer{depth}/Wh"])
        cell.bias.assign(weights[f"layer{depth}/Bh"][0])
    state = tuple(tf.constant(stored[f"{variant}/H_before_layer{depth}"]) for depth in range(1, len(config.layers) + 1))
    objective = CandidateObjective(
        ObjectiveConfig(loss="cross-entropy", logq_strength=0.0), np.ones(11 + SHIFT, np.float32)
    )
    candidates = tf.constant(np.concatenate([stored["out_ids"], stored["neg_ids"]]) + SHIFT, tf.int32)
    loss, new_state, computed = model.mini_batch_gradients(
        objective,
        inputs=tf.constant(stored["in_ids"] + SHIFT, tf.int32),
        targets=candidates[:3],
        negatives=candidates[3:],
        active=tf.ones([3], tf.bool),
        state=state,
    )
    stepped = model.session_step(tf.constant(stored["in_ids"] + SHIFT, tf.int32), state)
    np.testing.assert_allclose(stepped[-1], new_state[-1], atol=1e-6)
    vectors, bias = model.items.lookup(candidates)
    scores = tf.matmul(new_state[-1], vectors, transpose_b=True) + bias
    for depth, layer in enumerate(new_state, start=1):
        np.testing.assert_allclose(layer, stored[f"{variant}/H_after_layer{depth}"], atol=1e-5)
    np.testing.assert_allclose(scores, stored[f"{variant}/scores"], atol=1e-5)
    np.testing.assert_allclose(loss, stored[f"{variant}/loss_ce_sum"], rtol=1e-5)
    vectors, bias = model.item_table()
    all_scores = (tf.matmul(new_state[-1], vectors, transpose_b=True) + bias)[:, SHIFT:]
    np.testing.assert_allclose(all_scores, stored[f"{variant}/scores_all_items"], atol=1e-5)

    gradients = {
        key.removeprefix(f"{variant}/grad/"): value
        for key, value in stored.items()
        if key.startswith(f"{variant}/grad/")
    }
    watched = {"Wy": model.items.vectors}
    if model.inputs_table is not None:
        watched["E"] = model.inputs_table.vectors
    for depth, cell in enumerate(model.stack.cells, start=1):
        watched[f"layer{depth}/Wx"] = cell.input_kernel
        watched[f"layer{depth}/Wrz"] = cell.gate_kernel
    assert gradients.keys() <= watched.keys()
    by_variable = dict(zip(map(id, model.trainable_variables), computed, strict=True))
    actual = {name: by_variable[id(watched[name])] for name in gradients}
    for name, expected in gradients.items():
        dense = actual[name]
        if isinstance(dense, tf.IndexedSlices):
            size = watched[name].shape[0]
            dense = tf.math.unsorted_segment_sum(dense.values, dense.indices, size)
        dense = dense.numpy()
        dense = dense[SHIFT:] if dense.shape[0] == expected.shape[0] + SHIFT else dense
        np.testing.assert_allclose(dense, expected, atol=1e-5, err_msg=name)
