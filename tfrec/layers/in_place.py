"""Additions to a few places of a matrix, in the matrix's own memory.

`tf.tensor_scatter_nd_add` copies a matrix that it cannot take over and starts one parallel computation per row, which
costs more than a pass over the matrix; a training step of 30 passes has several such additions.
"""

from __future__ import annotations

import tensorflow as tf


def add_to_rows(matrix: tf.Tensor, rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns the matrix with values added to some rows; the tensor that was passed must not be used any more.

    Args:
        matrix: float `[rows, width]`, the fresh result of an operation that nobody else reads.
        rows: Row of each value, int32 `[values]`; may repeat.
        values: float `[values, width]`.

    Returns:
        float `[rows, width]`, in the memory of `matrix`. There is no gradient.
    """
    return tf.raw_ops.InplaceAdd(x=matrix, i=rows, v=values)


def add_to_columns(matrix: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns the matrix with one value added per row; the tensor that was passed must not be used any more.

    Args:
        matrix: float `[rows, width]`, the fresh result of an operation that nobody else reads.
        columns: Where to add in each row, int32 `[rows]`.
        values: float `[rows]`.

    Returns:
        float `[rows, width]`, in the memory of `matrix`. There is no gradient.
    """
    flat, places = _elements(matrix, columns)
    return tf.reshape(tf.raw_ops.InplaceAdd(x=flat, i=places, v=values[:, tf.newaxis]), tf.shape(matrix))


def put_in_columns(matrix: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns the matrix with one value per row replaced; otherwise as `add_to_columns`."""
    flat, places = _elements(matrix, columns)
    return tf.reshape(tf.raw_ops.InplaceUpdate(x=flat, i=places, v=values[:, tf.newaxis]), tf.shape(matrix))


def _elements(matrix: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the elements `[rows * width, 1]`, and the place of one per row among them, int32 `[rows]`."""
    shape = tf.shape(matrix)
    return tf.reshape(matrix, [-1, 1]), tf.range(shape[0]) * shape[1] + tf.cast(columns, tf.int32)


def fill_in_columns(matrix: tf.Tensor, columns: tf.Tensor, value: float) -> tf.Tensor:
    """Returns the matrix with some elements of every row set to one value; otherwise as `add_to_columns`.

    Args:
        matrix: float `[rows, width]`, the fresh result of an operation that nobody else reads.
        columns: Which elements, int32 `[rows, any]`; may repeat.
        value: The value.

    Returns:
        float `[rows, width]`, in the memory of `matrix`. There is no gradient.
    """
    shape = tf.shape(matrix)
    places = tf.reshape(tf.range(shape[0])[:, tf.newaxis] * shape[1] + columns, [-1])  # [rows * any]
    values = tf.fill([tf.size(places), 1], tf.cast(value, matrix.dtype))
    return tf.reshape(tf.raw_ops.InplaceUpdate(x=tf.reshape(matrix, [-1, 1]), i=places, v=values), shape)
