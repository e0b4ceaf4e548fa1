"""One matrix per group of rows: what a mixture of experts multiplies by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def grouped_dense(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Multiplies every row by the matrix of its group and adds the group's bias.

    Rows are sorted by group: the first `counts[0]` rows belong to group 0, and so on. The work grows with the number of
    rows, not with the number of groups, and so does that of the gradient, whatever shares the groups have; the graph
    has the same size for any number of groups. Loops over slices of unknown length, which XLA cannot compile.

    Args:
        inputs: float `[rows, in]`, sorted by group, of any floating type.
        kernel: The same type, `[groups, in, out]`.
        bias: The same type, `[groups, out]`.
        counts: int32 `[groups]`, rows of each group, 0 allowed; their sum is `rows`.

    Returns:
        float `[rows, out]`.

    Example:
        >>> kernel = tf.constant([[[2.0]], [[10.0]]])
        >>> grouped_dense(tf.constant([[1.0], [1.0], [3.0]]), kernel, tf.zeros([2, 1]), tf.constant([1, 2])).numpy()
        array([[ 2.],
               [10.],
               [30.]], dtype=float32)
    """
    groups, width_in, width_out = kernel.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def multiply(
        rows: tf.Tensor, matrices: tf.Tensor, offsets: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., tuple[tf.Tensor, ...]]]:
        ends = tf.cumsum(counts)  # [groups]
        starts = ends - counts  # [groups]

        def own(values: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
            return values[starts[group] : ends[group]]

        def forward(group: tf.Tensor) -> tuple[tf.Tensor]:
            return (tf.matmul(own(rows, group), matrices[group]) + offsets[group],)

        (outputs,) = _each_group(groups, forward, [(None, width_out)], rows.dtype)
        result = outputs.concat()  # [rows, out]
        result.set_shape([inputs.shape[0], width_out])

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            upstream = tf.convert_to_tensor(upstream)  # a gather of the outputs sends slices

            def backward(group: tf.Tensor) -> tuple[tf.Tensor, ...]:
                arriving = own(upstream, group)  # [own, out]
                return (
                    tf.matmul(arriving, matrices[group], transpose_b=True),
                    tf.matmul(own(rows, group), arriving, transpose_a=True),
                    tf.reduce_sum(arriving, axis=0),
                )

            shapes = [(None, width_in), (width_in, width_out), (width_out,)]
            to_rows, to_matrices, to_offsets = _each_group(groups, backward, shapes, rows.dtype)
            return to_rows.concat(), to_matrices.stack(), to_offsets.stack()

        return result, gradient

    result: tf.Tensor = multiply(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias))
    return result


def _each_group(
    groups: int, work: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], shapes: list[tuple[int | None, ...]], dtype: Any
) -> list[tf.TensorArray]:
    """Collects what `work` returns for every group, one array per result."""
    arrays = [
        tf.TensorArray(dtype, size=groups, infer_shape=False, element_shape=tf.TensorShape(shape)) for shape in shapes
    ]

    def step(group: tf.Tensor, filled: list[Any]) -> tuple[tf.Tensor, list[Any]]:
        found = work(group)
        return group + 1, [array.write(group, value) for array, value in zip(filled, found, strict=True)]

    _, arrays = tf.while_loop(lambda group, _: group < groups, step, (tf.constant(0), arrays))
    return list(arrays)
