"""GRU4Rec: session-based recommendation with recurrent networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.errors import ConfigError
from tfrec.layers.gru_stack import GRUStack
from tfrec.layers.in_place import add_to_rows
from tfrec.layers.item_table import RESERVED_ROWS, ItemTable
from tfrec.losses.candidate_objective import CandidateObjective, Candidates
from tfrec.models.sequence_recommender import Batch, FactorisedRecommender
from tfrec.optimizers.deduplicate import DistinctSlices
from tfrec.registry import register_model
from tfrec.seeds import derive_seed

State = tuple[tf.Tensor, ...]


@register_model("gru4rec")
class GRU4Rec(FactorisedRecommender):
    """GRU over the events of a session; the score of an item is its vector times the last state, plus a bias.

    Input vectors are the output table itself (`shared`), a table of their own (`separate`), or rows of the first
    layer's input kernel (`none`). Training runs over session-parallel blocks (`tfrec.data.session_blocks`): one Keras
    batch is a block of K mini-batches that `train_step` loops over in the graph, with the lanes' states as loop
    variables.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.

    Reference: arXiv 1511.06939 and 1706.03847; the official Theano code for all that the papers leave open.
    Differences: gradients of repeated rows are summed before the update; lanes that run out are masked, not removed.
    """

    config_class = GRU4RecConfig
    training_scheme = "session_parallel"
    config: GRU4RecConfig

    def __init__(self, config: GRU4RecConfig, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        initial: dict[str, Any] = {"bound": config.init_bound, "normal": config.init_normal}
        mode = config.embedding_mode
        self.items = ItemTable(vocab_size, config.layers[-1], seed=derive_seed(seed, "items"), name="items", **initial)
        self.inputs_table = None
        if mode == "separate":
            width = config.embedding_dim or config.layers[0]
            self.inputs_table = ItemTable(
                vocab_size, width, use_bias=False, seed=derive_seed(seed, "input items"), name="input_items", **initial
            )
        self.stack = GRUStack(
            config.layers,
            hidden_activation=config.hidden_activation,
            dropout=config.dropout_hidden,
            input_rows=vocab_size if mode == "none" else 0,
            input_fan_in=vocab_size - RESERVED_ROWS if mode == "none" else 0,
            seed=derive_seed(seed, "gru"),
            name="gru",
            **initial,
        )
        self.items.build()
        if self.inputs_table is not None:
            self.inputs_table.build()
        input_width = {"shared": config.layers[-1], "none": None}.get(mode, getattr(self.inputs_table, "dim", None))
        self.stack.build((None, input_width))
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.event_counter = keras.metrics.Sum(name="events", dtype="float64")
        self.step_counter = keras.metrics.Sum(name="mini_batches", dtype="float64")
        self._objective: CandidateObjective | None = None
        self.lane_states: list[tf.Variable] = []  # one [lanes, units] per layer; part of a resumable checkpoint
        self.built = True

    # ---- inference ------------------------------------------------------------------------------------------------

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.convert_to_tensor(self.items.vectors.value), tf.convert_to_tensor(self.items.bias.value)

    def lookup_items(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self.items.lookup(ids)

    def encode(self, batch: Batch) -> tf.Tensor:
        return self.stack(self._inputs(batch["item"]))  # [batch, length, dim]

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.score_targets(batch)

    @property
    def state_units(self) -> tuple[int, ...]:
        """Width of the state of each layer."""
        return tuple(self.stack.units)

    def session_step(self, items: tf.Tensor, state: State) -> State:
        """Advances sessions by one event.

        Args:
            items: Index of each session's new item, int32 `[batch]`.
            state: One float32 `[batch, units]` per layer; `stack.zero_state(batch)` for a new session.

        Returns:
            The new state; its last entry times `item_table` gives the scores.
        """
        return self.stack.step(self._inputs(items), state)

    # ---- training -------------------------------------------------------------------------------------------------

    def prepare_training(self, objective: CandidateObjective, lanes: int) -> None:
        """Sets loss, negatives and number of lanes; must precede `fit`.

        Args:
            objective: Loss over the candidates of a mini-batch.
            lanes: Mini-batch size; also the divisor of the loss when fewer lanes are active.

        Raises:
            ConfigError: Under a strategy of several replicas, or with another precision than float32.
        """
        if tf.distribute.has_strategy() and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ConfigError(
                "GRU4Rec keeps one state per lane and trains on one device, not under a strategy of several replicas.",
                remedy="Call `prepare_training` and `fit` outside the strategy's scope.",
            )
        if self.compute_dtype != "float32":
            raise ConfigError(
                f"GRU4Rec trains in float32, the policy in force is `{self.dtype_policy.name}`.",
                remedy="Call `keras.config.set_dtype_policy('float32')` before the model is made.",
            )
        self._objective = objective
        self.lane_states = [
            tf.Variable(tf.zeros([lanes, width]), trainable=False, name=f"lane_state_{depth}")
            for depth, width in enumerate(self.config.layers)
        ]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, self.event_counter, self.step_counter]

    def train_step(self, block: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Runs the mini-batches of one block.

        Args:
            block: Tensors of a `tfrec.data.session_blocks.SessionBlock`.
        """
        objective = self._objective
        if objective is None:
            raise RuntimeError("`prepare_training` must be called before `fit`.")
        lanes = self.lane_states[0].shape[0]
        first_step = tf.cast(self.optimizer.iterations.value, tf.int32)
        negatives = objective.sampler.sample(
            (block["inputs"].shape[0], objective.config.num_negatives),
            tf.stack([derive_seed(self.seed, "negatives"), first_step]),
        )  # [steps, negatives]

        def mini_batch(step: tf.Tensor, state: State, total: tf.Tensor) -> tuple[tf.Tensor, State, tf.Tensor]:
            starts, active = block["starts"][step], block["active"][step]  # [lanes]
            # A lane that ran out stays at zero: nothing it computes could then overflow.
            keeps = tf.cast(active & ~starts, tf.float32)[:, tf.newaxis]  # [lanes, 1]
            state = tuple(layer * keeps for layer in state)
            loss, state, gradients = self.mini_batch_gradients(
                objective,
                inputs=block["inputs"][step],
                targets=block["targets"][step],
                negatives=negatives[step],
                active=active,
                state=state,
                dropout_seed=tf.stack([derive_seed(self.seed, "dropout"), first_step + step]),
                scale=1.0 / lanes,
            )
            self.optimizer.apply(gradients, self.trainable_variables)
            return step + 1, state, total + loss

        num_steps = block["num_steps"]
        _, state, total = tf.while_loop(
            lambda step, *_: step < num_steps,
            mini_batch,
            (tf.constant(0), tuple(tf.convert_to_tensor(v) for v in self.lane_states), tf.constant(0.0)),
        )
        for variable, value in zip(self.lane_states, state, strict=True):
            variable.assign(value)
        events = tf.reduce_sum(tf.cast(block["active"], tf.float32))  # at most steps x lanes: exact
        self.loss_tracker.update_state(total / tf.maximum(events, 1.0), sample_weight=events)
        self.event_counter.update_state(events)
        self.step_counter.update_state(tf.cast(num_steps, tf.float32))
        return self.get_metrics_result()

    def mini_batch_gradients(
        self,
        objective: CandidateObjective,
        *,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        negatives: tf.Tensor,
        active: tf.Tensor,
        state: State,
        dropout_seed: tf.Tensor | None = None,
        scale: float = 1.0,
    ) -> tuple[tf.Tensor, State, list[tf.Tensor | tf.IndexedSlices]]:
        """Loss of one mini-batch, state after it, and gradients.

        Every distinct row of the item table is looked up once, so that its gradient arrives summed. Rows that are
        inputs only come last; they are scored with weight 0, which is cheaper than cutting them off.

        Args:
            objective: Loss over the candidates.
            inputs: Current item of each lane, int32 `[lanes]`.
            targets: Next item of each lane, int32 `[lanes]`.
            negatives: Sampled ids, int32 `[negatives]`.
            active: bool `[lanes]`.
            state: State before the step, a constant for the gradient.
            dropout_seed: int `[2]`; None means no drop-out.
            scale: Factor of the loss before differentiation.

        Returns:
            Summed loss (not scaled), new state, and one gradient per entry of `trainable_variables`.
        """
        shared = self.config.embedding_mode == "shared"
        lookups = [targets, negatives, inputs] if shared else [targets, negatives]
        rows, position = tf.unique(tf.concat(lookups, axis=0))  # in order of first appearance
        lanes, count = tf.size(targets), tf.size(targets) + tf.size(negatives)
        candidate_rows = rows[: tf.reduce_max(position[:count]) + 1]
        candidates = Candidates(rows, position[:lanes], position[lanes:count])
        looked_up = [self.items(rows), tf.gather(self.items.bias.value, candidate_rows)]  # [rows, dim], [candidates]
        if shared:
            looked_up.append(tf.gather(looked_up[0], position[count:]))  # [lanes, dim]
        tables = {id(self.items.vectors), id(self.items.bias)}
        others = [variable for variable in self.trainable_variables if id(variable) not in tables]
        with tf.GradientTape() as tape:
            tape.watch(looked_up)
            if shared:
                step_inputs = self._drop_inputs(looked_up[2], dropout_seed)
            else:
                step_inputs = self._inputs(inputs, dropout_seed=dropout_seed)
            state = self.stack.step(step_inputs, state, dropout_seed=dropout_seed)
            bias = tf.pad(looked_up[1], [[0, tf.size(rows) - tf.size(candidate_rows)]])  # [rows]
            products = tf.matmul(state[-1], looked_up[0], transpose_b=True)  # [lanes, rows]
            loss = objective(products, candidates, active, bias=bias)
            cost = scale * loss
        by_lookup, by_variable = tape.gradient(cost, [looked_up, [variable.value for variable in others]])
        by_row = by_lookup[0]  # [rows, dim]
        if shared:
            by_row = add_to_rows(by_row, position[count:], by_lookup[2])
        gradients = dict(zip(map(id, others), by_variable, strict=True))
        gradients[id(self.items.vectors)] = DistinctSlices(by_row, rows, looked_up=looked_up[0])
        gradients[id(self.items.bias)] = DistinctSlices(by_lookup[1], candidate_rows, looked_up=looked_up[1])
        return loss, state, [gradients[id(variable)] for variable in self.trainable_variables]

    def _inputs(self, items: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Turns indices int `[...]` into inputs of the first layer: float `[..., dim]`, or the indices themselves."""
        if self.config.embedding_mode == "none":
            return items
        table = self.items if self.inputs_table is None else self.inputs_table
        return self._drop_inputs(table(items), dropout_seed)

    def _drop_inputs(self, vectors: tf.Tensor, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        if dropout_seed is None or self.config.dropout_embedding == 0.0:
            return vectors
        return tf.nn.experimental.stateless_dropout(vectors, self.config.dropout_embedding, dropout_seed)
