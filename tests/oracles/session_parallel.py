"""Session-parallel mini-batches the slow way, after the text of the specification: lists, lanes that are removed."""

from __future__ import annotations

from collections.abc import Iterator

Step = tuple[list[int], list[int], list[bool]]


def session_parallel_steps(sessions: list[list[int]], batch_size: int, *, extra_samples: bool = True) -> Iterator[Step]:
    """Yields `(inputs, targets, new)` of the lanes that are left; `new` says that a lane's session begins here."""
    waiting = list(sessions)
    lanes: list[list[int]] = [waiting.pop(0) for _ in range(min(batch_size, len(waiting)))]
    places = [0] * len(lanes)
    while lanes and (extra_samples or len(lanes) >= 2):
        yield (
            [lane[place] for lane, place in zip(lanes, places, strict=True)],
            [lane[place + 1] for lane, place in zip(lanes, places, strict=True)],
            [place == 0 for place in places],
        )
        places = [place + 1 for place in places]
        for number, lane in enumerate(lanes):
            if places[number] + 1 >= len(lane) and waiting:
                lanes[number], places[number] = waiting.pop(0), 0
        left = [number for number, lane in enumerate(lanes) if places[number] + 1 < len(lane)]
        lanes, places = [lanes[number] for number in left], [places[number] for number in left]
