"""Stack of GRU cells that is stepped by the caller or scanned over a padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfrec.layers.gru_cell import ResetBeforeGRUCell
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class GRUStack(keras.layers.Layer):
    """Stacked `ResetBeforeGRUCell`s.

    Drop-out acts on each new state, and the dropped state is both the layer's output and the state of the next step.

    Args:
        units: Width of each layer, first to last.
        hidden_activation: Activation of the candidates.
        dropout: Probability of dropping an element of a new state, in [0, 1).
        input_rows: See `ResetBeforeGRUCell`; applies to the first layer.
        input_fan_in: See `ResetBeforeGRUCell`; applies to the first layer.
        bound: Bound of the initialisation; 0 means Glorot.
        normal: Draw from a normal distribution.
        seed: Seed of the initialisation.
    """

    def __init__(
        self,
        units: Sequence[int],
        *,
        hidden_activation: str = "tanh",
        dropout: float = 0.0,
        input_rows: int = 0,
        input_fan_in: int = 0,
        bound: float = 0.0,
        normal: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.units = list(units)
        self.hidden_activation = hidden_activation
        self.dropout = dropout
        self.input_rows = input_rows
        self.input_fan_in = input_fan_in
        self.bound = bound
        self.normal = normal
        self.seed = seed
        self.cells = [
            ResetBeforeGRUCell(
                width,
                hidden_activation=hidden_activation,
                input_rows=input_rows if depth == 0 else 0,
                input_fan_in=input_fan_in if depth == 0 else 0,
                bound=bound,
                normal=normal,
                seed=derive_seed(seed, "layer", depth),
                name=f"cell_{depth}",
                dtype=self.dtype_policy,
            )
            for depth, width in enumerate(self.units)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1] if input_shape else None
        for cell in self.cells:
            cell.build((None, width))
            width = cell.units

    def zero_state(self, batch_size: tf.Tensor | int) -> tuple[tf.Tensor, ...]:
        """Returns the state before the first event: one float `[batch, units]` per layer."""
        return tuple(tf.zeros([batch_size, width], self.variable_dtype) for width in self.units)

    def step(
        self, inputs: tf.Tensor, state: Sequence[tf.Tensor], *, dropout_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, ...]:
        """Advances all layers by one event.

        Args:
            inputs: float `[batch, in]`, or int `[batch]` when `input_rows` is set.
            state: One float `[batch, units]` per layer.
            dropout_seed: int `[2]`; None means no drop-out (inference).

        Returns:
            The new state, one float `[batch, units]` per layer; the last entry is the output.
        """
        new_state = []
        for depth, cell in enumerate(self.cells):
            inputs = cell(inputs, state[depth])
            if dropout_seed is not None and self.dropout > 0.0:
                seed = dropout_seed + tf.constant([depth + 1, 0], dropout_seed.dtype)
                inputs = tf.nn.experimental.stateless_dropout(inputs, self.dropout, seed)
            new_state.append(inputs)
        return tuple(new_state)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Runs over whole sequences from the zero state.

        Args:
            inputs: float `[batch, length, in]`, or int `[batch, length]` when `input_rows` is set.

        Returns:
            Output of the last layer after every event, float `[batch, length, units[-1]]`.
        """
        length = tf.shape(inputs)[1]
        outputs = tf.TensorArray(self.variable_dtype, size=length, element_shape=[None, self.units[-1]])

        def body(position: tf.Tensor, state: tuple[tf.Tensor, ...], outputs: tf.TensorArray) -> tuple[object, ...]:
            state = self.step(inputs[:, position], state)
            return position + 1, state, outputs.write(position, state[-1])

        loop = (tf.constant(0), self.zero_state(tf.shape(inputs)[0]), outputs)
        _, _, outputs = tf.while_loop(lambda position, *_: position < length, body, loop)
        return tf.transpose(outputs.stack(), [1, 0, 2])  # [batch, length, units]

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_activation": self.hidden_activation,
            "dropout": self.dropout,
            "input_rows": self.input_rows,
            "input_fan_in": self.input_fan_in,
            "bound": self.bound,
            "normal": self.normal,
            "seed": self.seed,
        }
