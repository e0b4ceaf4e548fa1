"""What a mini-batch of GRU4Rec costs at the least: its matrix products and row reads, and nothing else."""

from __future__ import annotations

import time

import tensorflow as tf

from tfrec.benchmarks.own_process import TimedCase

_SAMPLES = 5


def matrix_products_case(items: int, lanes: int, units: int, candidates: int, steps: int) -> TimedCase:
    """Returns a function that runs the products of `steps` mini-batches in one graph call.

    A mini-batch reads the vectors of its candidates and multiplies: candidates by states, forwards and for both
    gradients; one GRU layer's two kernels, forwards and for both gradients. No activation, drop-out, loss, optimiser,
    sampling or input pipeline: no implementation of the model on these kernels can be faster.

    Args:
        items: Rows of the item table.
        lanes: Mini-batch size.
        units: Width of the GRU layer and of the item vectors.
        candidates: Targets and negatives of a mini-batch.
        steps: Mini-batches per timed call; the rate is that of the fastest of five calls.
    """
    table = tf.Variable(tf.random.stateless_normal([items, units], [1, 0], stddev=0.05))
    kernel = tf.random.stateless_normal([units, 3 * units], [2, 0], stddev=0.05)

    @tf.function
    def run() -> tf.Tensor:
        def mini_batch(step: tf.Tensor, state: tf.Tensor, used: tf.Tensor) -> tuple[tf.Tensor, ...]:
            rows = tf.gather(table, (tf.range(candidates) * 7 + step) % items)  # [candidates, units]
            scores = tf.matmul(state, rows, transpose_b=True)  # [lanes, candidates]
            d_rows = tf.matmul(scores, state, transpose_a=True)  # [candidates, units]
            d_state = tf.matmul(scores, rows)  # [lanes, units]
            from_input, from_state = tf.matmul(state, kernel), tf.matmul(d_state, kernel)  # [lanes, 3 * units]
            d_kernel = tf.matmul(state, from_input, transpose_a=True)  # [units, 3 * units]
            d_recurrent = tf.matmul(d_state, from_state, transpose_a=True)  # [units, 3 * units]
            back = tf.matmul(from_input, kernel, transpose_b=True) + tf.matmul(from_state, kernel, transpose_b=True)
            used += d_rows[0, 0] + d_kernel[0, 0] + d_recurrent[0, 0]  # else the graph would drop the products
            return step + 1, tf.clip_by_value(back, -1.0, 1.0), used

        start = tf.constant(0), tf.fill([lanes, units], 0.1), tf.constant(0.0)
        return tf.while_loop(lambda step, *_: step < steps, mini_batch, start)[2]

    def measure() -> tuple[float, list[float]]:
        seconds = []
        for _ in range(_SAMPLES):
            began = time.perf_counter()
            run().numpy()
            seconds.append(time.perf_counter() - began)
        return steps / min(seconds), []

    measure()
    return measure
