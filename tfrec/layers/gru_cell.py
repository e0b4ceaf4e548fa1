"""GRU cell with the reset gate applied before the recurrent product, as GRU4Rec defines it."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.activations import activation
from tfrec.layers.initializers import GateInitializer
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class ResetBeforeGRUCell(keras.layers.Layer):
    """One step of a GRU whose reset gate acts on the state before the matrix product.

    With `v = inputs Wx + b` split into `[candidate, reset, update]`:
    `r = sigmoid(v_r + h Wr)`, `z = sigmoid(v_z + h Wz)`, `c = act(v_c + (r * h) Wh)`, `h' = (1 - z) h + z c`.

    In mixed precision the matrix products are computed in 16 bits; gates and state stay float32, so that the small
    updates of a long sequence are not rounded away.

    Args:
        units: Width of the state.
        hidden_activation: Name of the candidate's activation, see `tfrec.layers.activations`.
        input_rows: 0 for dense inputs. Otherwise the number of rows of `Wx`, which is then indexed by integer inputs
            instead of multiplied (one-hot input without an embedding).
        input_fan_in: Fan-in used to initialise `Wx`; default is its number of rows.
        bound: Bound of the uniform initialisation (or standard deviation of the normal one); 0 means Glorot per gate.
        normal: Draw from a normal distribution.

    Reference: GRU4Rec (arXiv 1511.06939), section 3 of its official implementation.
    Differences from Keras: Keras' `GRUCell(reset_after=False)` computes `h' = z h + (1 - z) c`; its `z` is our `1 - z`.
    """

    def __init__(
        self,
        units: int,
        *,
        hidden_activation: str = "tanh",
        input_rows: int = 0,
        input_fan_in: int = 0,
        bound: float = 0.0,
        normal: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.units = units
        self.hidden_activation = hidden_activation
        self.input_rows = input_rows
        self.input_fan_in = input_fan_in
        self.bound = bound
        self.normal = normal
        self.seed = seed
        self._activate = activation(hidden_activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rows = self.input_rows or int(input_shape[-1] or 0)

        def initializer(purpose: str, fan_in: int = 0) -> GateInitializer:
            return GateInitializer(
                self.units, fan_in=fan_in, bound=self.bound, normal=self.normal, seed=derive_seed(self.seed, purpose)
            )

        self.input_kernel = self.add_weight(
            shape=(rows, 3 * self.units), initializer=initializer("input", self.input_fan_in), name="input_kernel"
        )  # [in, 3 units]: candidate, reset, update
        self.gate_kernel = self.add_weight(
            shape=(self.units, 2 * self.units), initializer=initializer("gates"), name="gate_kernel"
        )  # [units, 2 units]: reset, update
        self.candidate_kernel = self.add_weight(
            shape=(self.units, self.units), initializer=initializer("candidate"), name="candidate_kernel"
        )  # [units, units]
        self.bias = self.add_weight(shape=(3 * self.units,), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """Advances the state by one event.

        Args:
            inputs: float `[batch, in]`, or int `[batch]` when `input_rows` is set.
            state: float `[batch, units]`.

        Returns:
            New state, float `[batch, units]`.
        """
        if self.input_rows:
            projected = tf.gather(self.input_kernel.value, inputs)  # [batch, 3 units]
        else:
            projected = self._product(inputs, self.input_kernel)  # [batch, 3 units]
        state = tf.cast(state, self.variable_dtype)
        bias = tf.cast(tf.convert_to_tensor(self.bias), self.variable_dtype)
        sizes = [self.units, 2 * self.units]
        # Split before adding: TensorFlow would fuse product and sum into a kernel that is slower for small batches.
        split_in = tf.split(tf.cast(projected, self.variable_dtype), sizes, axis=-1)
        candidate_in, gates_in = (
            part + part_bias for part, part_bias in zip(split_in, tf.split(bias, sizes), strict=True)
        )
        gates = tf.sigmoid(gates_in + self._product(state, self.gate_kernel))  # [batch, 2 units]
        reset, update = tf.split(gates, 2, axis=-1)
        candidate = self._activate(candidate_in + self._product(reset * state, self.candidate_kernel))
        return state + update * (candidate - state)  # [batch, units]

    def _product(self, inputs: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
        """Multiplies in the compute type; float `[batch, out]` of the variables' type."""
        product = tf.matmul(
            tf.cast(inputs, self.compute_dtype), tf.cast(tf.convert_to_tensor(kernel), self.compute_dtype)
        )
        return tf.cast(product, self.variable_dtype)

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_activation": self.hidden_activation,
            "input_rows": self.input_rows,
            "input_fan_in": self.input_fan_in,
            "bound": self.bound,
            "normal": self.normal,
            "seed": self.seed,
        }
