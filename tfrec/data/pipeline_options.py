"""Options that every tf.data pipeline of the package is built with."""

from __future__ import annotations

import os

import tensorflow as tf

PREFETCHED_BATCHES = 4


def parallel_calls() -> int:
    """Returns how many batches a pipeline may parse at once: one per processor of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_pipeline_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns autotuning off and gives the pipeline threads of its own.

    tf.data's tuner runs in a thread that sleeps for seconds; destroying an iterator waits for it, which stalls
    training at the start of an epoch and every short evaluation. With fixed parallelism there is nothing to tune. A
    pipeline that waits (for a reader, for Python) would otherwise hold a thread of the common pool, which on two
    cores training needs.

    Args:
        dataset: The last step of a pipeline.

    Returns:
        The same elements.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = max(2, parallel_calls())
    return dataset.with_options(options)
