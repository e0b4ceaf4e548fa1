"""A vector per user that training carries from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.layers.gru_cell import ResetBeforeGRUCell
from tfrec.seeds import derive_seed


class MemoryUpdate(NamedTuple):
    """What a step says of the memories of its users; the memories themselves are as before until it is committed.

    Attributes:
        users: int32 `[rows]`, each once.
        vectors: New memories of those that are due, float `[rows, dim]`.
        inputs: What the users are like now, float `[rows, dim]`.
        due: Whose memory is written, bool `[rows]`.
        events: Events that the step went through, int32 `[rows]`.
    """

    users: tf.Tensor
    vectors: tf.Tensor
    inputs: tf.Tensor
    due: tf.Tensor
    events: tf.Tensor


@keras.saving.register_keras_serializable(package="tfrec")
class UserMemory(keras.layers.Layer):
    """Memories of users: read by a gate, written after a step, of the rows of the step alone.

    Use: `c' = g c + (1 - g) m` with `g = sigmoid(Dense([c, m]))` for a vector `c` of a candidate; a memory of zeros is
    unused and changes nothing. Update: `m = decay m + (1 - decay) GRU(u, m)` from a vector `u` of the user, which must
    not know what the step predicts; the first update and one that was asked for take `GRU(u, m)` whole.

    The memories are weights of the model. Counters and former states are made by `prepare_training` alone and lie
    outside the weights: `training_state` has them, for checkpoints.

    Args:
        users: Number of user indices, including 0 (padding) and 1 (unknown), which have no memory.
        dim: Width of a memory.
        trigger: When a memory is written: `count`, `time`, `drift` or `explicit`.
        interactions: count: after so many events.
        steps: time: after so many steps.
        drift: drift: once the cosine with the user of the last update is below 1 minus this.
        decay: Share of the old memory.
        history: Former states that are kept.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d). Differences: memories are really updated, from the user's side alone; drift compares
        a user with himself at the last update, not with the state of the GRU.
    """

    def __init__(
        self,
        users: int,
        dim: int,
        *,
        trigger: str = "count",
        interactions: int = 10,
        steps: int = 10,
        drift: float = 0.3,
        decay: float = 0.95,
        history: int = 10,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.users, self.dim, self.trigger, self.interactions, self.steps = users, dim, trigger, interactions, steps
        self.drift, self.decay, self.history, self.seed = drift, decay, history, seed
        self.cell = ResetBeforeGRUCell(dim, seed=derive_seed(seed, "cell"), name="cell")
        initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, "gate"))
        self.gate = keras.layers.Dense(dim, activation="sigmoid", kernel_initializer=initializer, name="gate")
        self._state: dict[str, tf.Variable] = {}

    def build(self, input_shape: object = None) -> None:
        self.vectors = self.add_weight(
            shape=(self.users, self.dim), initializer="zeros", trainable=False, autocast=False, name="vectors"
        )  # [users, dim]
        self.cell.build((None, self.dim))
        self.gate.build((None, None, 2 * self.dim))
        self.built = True

    # ---- use ------------------------------------------------------------------------------------------------------

    def read(self, users: tf.Tensor) -> tf.Tensor:
        """Returns memories: int `[rows]` -> float `[rows, dim]`; zeros where there is none."""
        return tf.gather(self.vectors.value, users)

    def call(self, candidates: tf.Tensor, memories: tf.Tensor) -> tf.Tensor:
        """Mixes memories into vectors of candidates: float `[rows, candidates, dim]` and `[rows, dim]`."""
        kernel = self.gate.kernel.value  # [2 dim, dim]
        own = tf.matmul(candidates, kernel[: self.dim])
        gate = tf.sigmoid(own + tf.matmul(memories, kernel[self.dim :])[:, tf.newaxis] + self.gate.bias.value)
        mixed = gate * candidates + (1.0 - gate) * memories[:, tf.newaxis]
        return tf.where(_used(memories)[:, tf.newaxis, tf.newaxis], mixed, candidates)

    # ---- update ---------------------------------------------------------------------------------------------------

    def prepare_training(self) -> None:
        """Makes counters and the list of former states, which only training needs."""
        if self._state:
            return

        def table(name: str, *shape: int, dtype: Any = tf.int32) -> tf.Variable:
            return tf.Variable(tf.zeros([self.users, *shape], dtype), trainable=False, name=name)

        self._state = {
            "step": tf.Variable(0, dtype=tf.int32, trainable=False, name="step"),
            "interactions": table("interactions"),  # since the last update
            "all_interactions": table("all_interactions"),
            "updates": table("updates"),
            "last_step": table("last_step"),
            "marked": table("marked", dtype=tf.bool),
            "inputs": table("inputs", self.dim, dtype=tf.float32),
            "history": table("history", self.history, self.dim, dtype=tf.float32),  # the latest first
        }

    @property
    def training_state(self) -> dict[str, tf.Variable]:
        """Counters and former states by name; empty before `prepare_training`."""
        return dict(self._state)

    def propose(self, users: tf.Tensor, inputs: tf.Tensor, events: tf.Tensor, known: tf.Tensor) -> MemoryUpdate:
        """Says what the step would write; gradients reach the GRU through the new memories.

        Args:
            users: int32 `[rows]`; of several rows of one user the last one counts.
            inputs: What each user is like, before what the step predicts, float `[rows, dim]`.
            events: Events that the step goes through, int32 `[rows]`.
            known: Whether anything is known of the user, bool `[rows]`.
        """
        distinct, place = tf.unique(users)
        rows = tf.size(distinct)
        last = tf.math.unsorted_segment_max(tf.range(tf.size(users)), place, rows)  # [distinct]
        events = tf.math.unsorted_segment_sum(events, place, rows)
        inputs, known = tf.gather(inputs, last), tf.gather(known, last)
        memories = self.read(distinct)  # [distinct, dim]
        state = {name: tf.gather(table, distinct) for name, table in self._state.items() if name != "step"}
        unused, marked = ~_used(memories), state["marked"]
        match self.trigger:
            case "count":
                due = state["interactions"] + events >= self.interactions
            case "time":
                due = unused | (self._state["step"] + 1 - state["last_step"] >= self.steps)
            case "drift":
                now, then = tf.math.l2_normalize(inputs, axis=1), tf.math.l2_normalize(state["inputs"], axis=1)
                due = unused | (tf.reduce_sum(now * then, axis=1) < 1.0 - self.drift)
            case _:
                due = tf.zeros_like(unused)
        due = (due | marked) & known & (distinct >= FIRST_INDEX)
        fresh = self.cell(inputs, memories)  # [distinct, dim]
        kept = tf.where(unused | marked, 0.0, self.decay)[:, tf.newaxis]
        vectors = tf.where(due[:, tf.newaxis], kept * memories + (1.0 - kept) * fresh, memories)
        return MemoryUpdate(distinct, vectors, inputs, due, events)

    def memories_of(self, users: tf.Tensor, update: MemoryUpdate) -> tf.Tensor:
        """Returns memories as they will be after the update, with its gradients: int32 `[rows]` -> `[rows, dim]`."""
        place = tf.argmax(users[:, tf.newaxis] == update.users, axis=1)  # [rows]
        return tf.gather(update.vectors, place)

    def commit(self, update: MemoryUpdate) -> None:
        """Writes an update: the rows of the users that are due, and the counters of the step's users."""
        state, rows = self._state, update.users[:, tf.newaxis]
        counted = update.events + tf.gather(state["interactions"], update.users)
        state["interactions"].scatter_nd_update(rows, tf.where(update.due, 0, counted))
        state["all_interactions"].scatter_nd_add(rows, update.events)
        state["step"].assign_add(1)
        written = tf.boolean_mask(update.users, update.due)  # [due]
        old, new = self.read(written), tf.boolean_mask(update.vectors, update.due)  # [due, dim]
        rows = written[:, tf.newaxis]
        if self.history:
            former = tf.gather(state["history"], written)  # [due, history, dim]
            former = tf.concat([old[:, tf.newaxis], former[:, :-1]], axis=1)
            state["history"].scatter_nd_update(rows, former)
        self.vectors.value.scatter_nd_update(rows, new)
        state["updates"].scatter_nd_add(rows, tf.ones_like(written))
        state["last_step"].scatter_nd_update(rows, tf.fill(tf.shape(written), state["step"]))
        state["marked"].scatter_nd_update(rows, tf.zeros_like(written, tf.bool))
        state["inputs"].scatter_nd_update(rows, tf.boolean_mask(update.inputs, update.due))

    def mark(self, users: Any) -> None:
        """Asks for the memories of some users to be written, whole, when training meets them next."""
        rows = tf.reshape(tf.cast(users, tf.int32), [-1, 1])
        self._state["marked"].scatter_nd_update(rows, tf.ones([tf.shape(rows)[0]], tf.bool))

    def reset(self, users: Any) -> None:
        """Makes the memories of some users unused and forgets their counters and former states."""
        rows = tf.reshape(tf.cast(users, tf.int32), [-1, 1])
        tables = [self.vectors.value, *(table for name, table in self._state.items() if name != "step")]
        for table in tables:
            table.scatter_nd_update(rows, tf.zeros(tf.concat([tf.shape(rows)[:1], table.shape[1:]], 0), table.dtype))

    def get_config(self) -> dict[str, Any]:
        names = ("users", "dim", "trigger", "interactions", "steps", "drift", "decay", "history", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _used(memories: tf.Tensor) -> tf.Tensor:
    """Tells which memories `[rows, dim]` were ever written, bool `[rows]`."""
    return tf.reduce_any(tf.not_equal(memories, 0.0), axis=-1)
