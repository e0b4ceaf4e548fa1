"""A log of views around two split boundaries, small enough to split by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

DAY = 86_400
HOUR = 3_600
# Sessions 1 and 2 belong to one visitor, 10 and 11 to another; every other session has a visitor of its own.
VISITOR = {2: 1, 11: 10}


@dataclass(frozen=True)
class PlantedLog:
    """Views (session, time in s, item) around two boundaries, and what rule 2b makes of them.

    B is the beginning of test and B2 of validation, `days` before. With items 10, 11 and 12 frequent enough:

    * 1: 10,10,11,10 collapses to 10,11,10.
    * 2: 11 and 12, exactly one hour apart: one session. It begins 6,960 s after session 1 ends (2 h = 7,200 s, minus
      3 * 80 s): two sessions.
    * 3: 20 and 99. 99 occurs once and goes, then session 3 (length 1), then 20, of whose 5 events 4 are left.
    * 4: 10,20,10,20,12,20,10,20: without 20 it is 10,10,12,10; repetitions are collapsed only before the filters.
    * 5: 21,21,10,21,11,21,12,21 has five 21, but four after collapsing: 10,11,12 is left.
    * 6: crosses B2: whole in the full training data, its first two events in the nested one.
    * 7: starts at B2 with two events at one time; item order decides: 11,12.
    * 8: crosses B, its last event is at B: two events are left for training.
    * 9: crosses B with one event before: it is nowhere.
    * 10: starts at B.
    * 11: five events of 30, which training does not know: 11,12,10,11 is left.
    * 12: 30 and 10: one event is left, so nothing.
    * 13: ends at the last instant of the log, where there is no fixed end; otherwise absent.
    """

    end: int
    days: int
    fixed_end: bool
    events: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        boundary, nested = self.end - self.days * DAY, self.end - 2 * self.days * DAY
        self._add(1, nested - 10 * HOUR, [10, 10, 11, 10])
        self._add(2, nested - 8 * HOUR, [11, 12], step=HOUR)
        self._add(3, nested - 6 * HOUR, [20, 99])
        self._add(4, nested - 4 * HOUR, [10, 20, 10, 20, 12, 20, 10, 20])
        self._add(5, nested - 2 * HOUR, [21, 21, 10, 21, 11, 21, 12, 21])
        self._add(6, nested - 2 * 80, [11, 12])
        self._add(6, nested + 30, [10])
        self._add(7, nested, [12, 11], step=0)
        self._add(8, boundary - 160, [10, 11, 12])
        self._add(9, boundary - 10, [12, 11])
        self._add(10, boundary, [10, 12])
        self._add(11, boundary + 2 * HOUR, [30, 11, 30, 12, 30, 10, 30, 11, 30])
        self._add(12, self.end - 180, [30, 10])
        if not self.fixed_end:
            self._add(13, self.end - 80, [11, 10])

    def _add(self, session: int, start: int, items: list[int], step: int = 80) -> None:
        self.events.extend((session, start + step * number, item) for number, item in enumerate(items))

    @property
    def train_full(self) -> list[tuple[int, list[int]]]:
        return [
            (1, [10, 11, 10]),
            (2, [11, 12]),
            (4, [10, 10, 12, 10]),
            (5, [10, 11, 12]),
            (6, [11, 12, 10]),
            (7, [11, 12]),
            (8, [10, 11]),
        ]

    @property
    def train_tr(self) -> list[tuple[int, list[int]]]:
        return [*self.train_full[:4], (6, [11, 12])]

    @property
    def valid(self) -> list[tuple[int, list[int]]]:
        return [(7, [11, 12]), (8, [10, 11])]

    @property
    def test(self) -> list[tuple[int, list[int]]]:
        last = [] if self.fixed_end else [(13, [11, 10])]
        return [(10, [10, 12]), (11, [11, 12, 10, 11]), *last]


def iso(seconds: float) -> str:
    """`2014-04-07T10:51:09.277Z`."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def visitor(session: int) -> int:
    return VISITOR.get(session, session)
