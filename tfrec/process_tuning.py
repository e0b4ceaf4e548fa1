"""Settings of the process that make training on processors faster: what freed memory does, and threads per operation.

Only commands that train call this; importing tfrec as a library changes nothing. `TFREC_TUNING=0` in the environment
turns all of it off, and what the user has set (`TF_NUM_INTRAOP_THREADS`, `TF_NUM_INTEROP_THREADS`, `MALLOC_*_`,
`GLIBC_TUNABLES`) is left alone.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import sys

_MEBIBYTE = 1 << 20
# Numbers of glibc's malloc.h, and values. A block above 32 MiB may not come from a thread's arena, by glibc's rules.
_MALLOC_SETTINGS = {
    -3: 32 * _MEBIBYTE,  # M_MMAP_THRESHOLD: smaller blocks come from the heap and not from a mapping of their own
    -1: 1024 * _MEBIBYTE,  # M_TRIM_THRESHOLD: how much freed memory at its end the heap may keep
    -2: 64 * _MEBIBYTE,  # M_TOP_PAD: by how much more than asked for the heap grows
}
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_FEW_CORES = 4


def keep_freed_memory() -> bool:
    """Lets the process keep up to 1 GiB of memory that it has freed, instead of handing it back after every step.

    A training step allocates and frees some tens of buffers of up to a few megabytes. With glibc's defaults many of
    them are fresh pages each time, which the kernel has to clear: several hundred page faults per step.

    Returns:
        Whether anything was set: on Linux with glibc, unless the user chose otherwise.
    """
    chosen = [name for name in os.environ if name.startswith("MALLOC_") and name.endswith("_")]
    if not _allowed() or chosen or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in _MALLOC_SETTINGS.items())


def use_threads_for_small_operations() -> bool:
    """Gives every operation one thread, and runs two operations at a time.

    For models whose step is some fifty operations of ten microseconds, where sharing one among threads costs more
    than it brings. Sharing pays for products with a whole catalogue, so this is for processes that mostly train, and
    for machines of at most four processors, where it was measured. Must precede the first operation of TensorFlow.

    Returns:
        Whether it was set: not with a GPU, not on larger machines, not against the user's choice, not too late.
    """
    if not _allowed() or any(name in os.environ for name in _THREAD_VARIABLES) or _processors() > _FEW_CORES:
        return False
    tensorflow = importlib.import_module("tensorflow")
    threading = tensorflow.config.threading
    if tensorflow.config.list_physical_devices("GPU"):
        return False
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return False
    try:
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(min(2, _processors()))
    except RuntimeError:  # TensorFlow has started
        return False
    return True


def _allowed() -> bool:
    return os.environ.get("TFREC_TUNING", "1") != "0"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
