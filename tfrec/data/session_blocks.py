"""Session-parallel mini-batches, packed into blocks of K steps that one training step loops over in the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SessionBlock:
    """K session-parallel mini-batches.

    Attributes:
        inputs: Current item of each lane, int32 `[steps, lanes]`; 0 where the lane is inactive.
        targets: Next item of each lane, int32 `[steps, lanes]`; 0 where the lane is inactive.
        starts: True where the lane begins a session (its state must be zero before the step), bool `[steps, lanes]`.
        active: True where the lane holds an event, bool `[steps, lanes]`. Never true again for a lane that ran out.
        num_steps: Steps in use; later ones are padding.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    starts: NDArray[Any]
    active: NDArray[Any]
    num_steps: int


@dataclass
class _SessionBuffer:
    """Sessions that were read but not yet given to a lane; refilled from a stream of chunks."""

    chunks: Iterator[tuple[NDArray[Any], NDArray[Any]]]
    items: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    offsets: NDArray[Any] = field(default_factory=lambda: np.zeros(1, np.int64))
    next_session: int = 0

    def take(self, wanted: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Returns first and end positions in `items` of up to `wanted` further sessions with a target each."""
        end = min(self.next_session + wanted, len(self.offsets) - 1)
        taken = slice(self.next_session, end)
        self.next_session = end
        return self.offsets[taken], self.offsets[1:][taken]

    def refill(self, keep_from: NDArray[Any], at_least: int) -> int:
        """Drops what no lane needs any more, reads until `at_least` sessions wait, returns how far positions moved."""
        parts, lengths = [self.items], [np.diff(self.offsets[self.next_session :])]
        waiting = len(lengths[0])
        for items, sizes in self.chunks if waiting < at_least else ():
            long_enough = sizes >= 2
            if not long_enough.all():
                items = items[np.repeat(long_enough, sizes)]
                sizes = sizes[long_enough]
            parts.append(np.asarray(items, np.int32))
            lengths.append(np.asarray(sizes, np.int64))
            waiting += len(sizes)
            if waiting >= at_least:
                break
        first_waiting = int(self.offsets[self.next_session])
        dropped = min(int(keep_from.min(initial=first_waiting)), first_waiting)
        parts[0] = parts[0][dropped:]
        self.items = np.concatenate(parts)
        self.offsets = np.cumsum(np.concatenate([[first_waiting - dropped], *lengths]))
        self.next_session = 0
        return dropped


def session_blocks(
    chunks: Iterable[tuple[NDArray[Any], NDArray[Any]]], lanes: int, block_steps: int, *, min_active_lanes: int = 1
) -> Iterator[SessionBlock]:
    """Packs a stream of sessions into session-parallel blocks.

    Lane k starts with session k. A lane whose session has no target left takes the next unused session at the next
    step, lower lanes first; when no session is left it becomes inactive. Work per step is a few vector operations
    over the lanes; memory is one chunk of sessions plus those in the lanes.

    Args:
        chunks: Pairs `(items, lengths)`: items of consecutive sessions int `[sum(lengths)]`, and lengths int
            `[sessions]`. Sessions with fewer than two events are skipped.
        lanes: Number of parallel lanes (mini-batch size).
        block_steps: Steps per block.
        min_active_lanes: Stop when fewer lanes are active: 2 when the only negatives are the other lanes' targets.

    Yields:
        Blocks of equal shape; the last one may use fewer steps.

    Reference: GRU4Rec (arXiv 1511.06939), section 3.1.1; worked example in section 4 of its specification.
    Differences: the reference removes lanes at the end of an epoch, here they are masked, so that shapes never change.
    """
    buffer = _SessionBuffer(iter(chunks))
    position = np.zeros(lanes, np.int64)  # of each lane's current event in buffer.items
    end = np.zeros(lanes, np.int64)  # first position after each lane's session
    while True:
        # A block can consume at most one session per lane and step.
        moved = buffer.refill(position[position + 1 < end], lanes * (block_steps + 1))
        position -= moved
        end -= moved
        where = np.zeros((block_steps, lanes), np.int64)
        starts = np.zeros((block_steps, lanes), bool)
        active = np.zeros((block_steps, lanes), bool)
        step = 0
        while step < block_steps:
            free = np.flatnonzero(position + 1 >= end)
            if len(free):
                first, last = buffer.take(len(free))
                filled = free[: len(first)]
                position[filled] = first
                end[filled] = last
                starts[step, filled] = True
            running = position + 1 < end
            if running.sum() < min_active_lanes:
                break
            active[step] = running
            where[step] = position
            position += running
            step += 1
        if step:
            inputs = np.zeros((block_steps, lanes), np.int32)
            targets = np.zeros((block_steps, lanes), np.int32)
            inputs[active] = buffer.items[where[active]]
            targets[active] = buffer.items[where[active] + 1]
            yield SessionBlock(inputs, targets, starts, active, step)
        if step < block_steps:
            return
