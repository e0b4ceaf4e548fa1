"""Session-parallel blocks: the worked example, and random sessions against a slow oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.session_parallel import session_parallel_steps
from tfrec.data.session_blocks import session_blocks


def chunk(sessions: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([item for session in sessions for item in session]), np.array([len(s) for s in sessions])


def unpack(blocks) -> list[tuple[list[int], list[int], list[bool]]]:
    steps = []
    for block in blocks:
        assert not block.active[block.num_steps :].any()
        for step in range(block.num_steps):
            active = block.active[step]
            assert (block.inputs[step][~active] == 0).all()
            assert (block.targets[step][~active] == 0).all()
            steps.append(tuple(array[step][active].tolist() for array in (block.inputs, block.targets, block.starts)))
    return steps


def test_worked_example() -> None:
    """Two lanes, sessions [1,2,3], [4,5], [6,7,8]: the second lane is refilled after one step, the first runs out."""
    blocks = list(session_blocks([chunk([[1, 2, 3], [4, 5], [6, 7, 8]])], lanes=2, block_steps=4))
    assert unpack(blocks) == [
        ([1, 4], [2, 5], [True, True]),
        ([2, 6], [3, 7], [False, True]),
        ([7], [8], [False]),
    ]
    assert blocks[0].active.tolist() == [[True, True], [True, True], [False, True], [False, False]]


def test_a_single_lane_is_dropped_when_other_lanes_are_the_only_negatives() -> None:
    blocks = session_blocks([chunk([[1, 2, 3], [4, 5], [6, 7, 8]])], lanes=2, block_steps=4, min_active_lanes=2)
    assert [step[0] for step in unpack(blocks)] == [[1, 4], [2, 6]]


def test_fewer_sessions_than_lanes() -> None:
    assert unpack(session_blocks([chunk([[1, 2]])], lanes=3, block_steps=2)) == [([1], [2], [True])]


def test_sessions_of_one_event_are_passed_over_and_nothing_yields_nothing() -> None:
    assert unpack(session_blocks([chunk([[9], [1, 2], [8]])], lanes=1, block_steps=2)) == [([1], [2], [True])]
    assert list(session_blocks([], lanes=2, block_steps=2)) == []


@settings(max_examples=150, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 7), min_size=1, max_size=40),
    lanes=st.integers(1, 6),
    block_steps=st.integers(1, 9),
    chunk_size=st.integers(1, 11),
    extra_samples=st.booleans(),
)
def test_equals_the_oracle_however_the_stream_is_cut(
    lengths: list[int], lanes: int, block_steps: int, chunk_size: int, extra_samples: bool
) -> None:
    numbers = iter(range(1, 1000))
    sessions = [[next(numbers) for _ in range(length)] for length in lengths]
    chunks = [chunk(sessions[start : start + chunk_size]) for start in range(0, len(sessions), chunk_size)]
    blocks = session_blocks(chunks, lanes, block_steps, min_active_lanes=1 if extra_samples else 2)
    expected = list(session_parallel_steps(sessions, lanes, extra_samples=extra_samples))
    assert unpack(blocks) == expected
