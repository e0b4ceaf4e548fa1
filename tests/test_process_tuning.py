"""What training commands set in their process, and what they leave alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tfrec import process_tuning
from tfrec.process_tuning import keep_freed_memory, use_threads_for_small_operations

glibc_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc settings of glibc")

FAULTS = """
import resource
from tfrec.process_tuning import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        buffers = [b'x' * 2_000_000 for _ in range(8)]  # 3,900 pages of 4 KiB
        del buffers
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(keep_freed_memory(), faults())
"""

THREADS = """
import tfrec, tfrec.process_tuning as tuning
from tfrec.compat import load_tensorflow
tuning._processors = lambda: {processors}
load_tensorflow()
import tensorflow as tf
changed = tuning.use_threads_for_small_operations()
tf.constant(1.0) + 1.0
print(changed, tuning.use_threads_for_small_operations(),
      tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
"""


def run(code: str, **variables: str) -> list[str]:
    """Runs code in a fresh process without our settings of the tests; returns the words it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_NUM_", "MALLOC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **variables}, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout.split()


@glibc_only
def test_freed_memory_is_used_again() -> None:
    tuned, faults = run(FAULTS)
    assert tuned == "True"
    untouched, more_faults = run(FAULTS, TFREC_TUNING="0")
    assert untouched == "False"
    assert int(more_faults) > 5 * int(faults)  # eight buffers 50 times, or once


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_ARENA_MAX_", "2"), ("GLIBC_TUNABLES", "glibc.malloc.top_pad=1"), ("TFREC_TUNING", "0")]
)
def test_what_the_user_chose_for_memory_stays(monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(process_tuning.platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()


def test_threads_are_set_once_and_before_the_first_operation() -> None:
    assert run(THREADS.format(processors=2)) == ["True", "False", "1", "2"]


def test_threads_stay_on_larger_machines(monkeypatch) -> None:
    monkeypatch.setattr(process_tuning, "_processors", lambda: 16)
    for name in process_tuning._THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert not use_threads_for_small_operations()


def test_threads_that_the_user_set_stay(monkeypatch) -> None:
    monkeypatch.setattr(process_tuning, "_processors", lambda: 2)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "3")
    assert not use_threads_for_small_operations()
