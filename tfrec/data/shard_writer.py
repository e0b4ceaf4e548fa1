"""Streams the sorted events of a split into TFRecord shards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfrec.data.example_encoder import ExampleEncoder, FeatureColumn, string_column
from tfrec.data.manifest import ShardRecord
from tfrec.data.shard_files import ShardFiles
from tfrec.errors import DataError

_CHUNK_EVENTS = 1 << 19
_RESTART = "Run the conversion again without --resume."


class ShardWriter:
    """Writes the shards of one split, each whole or not at all, and remembers finished ones.

    Args:
        root: Directory that becomes the dataset.
        split: Name of the split; a directory of that name is made.
        bounds: From `shard_bounds`.
        compression: `none` or `gzip`.
        encoder: Encoder of examples.
        journal: File with one JSON line per finished shard; read first, so that finished shards are not written again.
    """

    def __init__(
        self, root: Path, split: str, bounds: list[int], compression: str, encoder: ExampleEncoder, journal: Path
    ) -> None:
        self._files = ShardFiles(root, split, bounds, compression, journal, ShardRecord)
        self._split = split
        self._sequences = bounds[-1]
        self._encoder = encoder

    @property
    def records(self) -> list[ShardRecord]:
        """Finished shards."""
        return self._files.records

    @property
    def first_rank(self) -> int:
        """Rank of the first sequence that is not in a finished shard."""
        return self._files.first

    @property
    def done(self) -> bool:
        """Whether all shards are finished."""
        return self._files.done

    def write(
        self,
        contexts: Iterator[pa.RecordBatch],
        events: Iterator[pa.RecordBatch],
        progress: Callable[[int], None],
    ) -> list[ShardRecord]:
        """Writes all shards from `first_rank` on.

        Args:
            contexts: Per sequence `user_id`, optionally `user`, `length`, `num_targets`.
            events: Per event `item`, `timestamp` and event features, sequence after sequence.
            progress: Called with the number of sequences written since the last call.

        Returns:
            The records of all shards, finished earlier or now.
        """
        stream = _EventStream(events)
        writer, shard_events = None, 0
        rank = self.first_rank
        for chunk in _chunks(contexts):
            lengths = chunk["length"].to_numpy()
            columns = self._columns(chunk, lengths, stream)
            encoded = self._encoder.encode(columns)
            start = 0
            while start < len(encoded):
                if writer is None:
                    writer, shard_events = self._files.open(), 0
                stop = min(len(encoded), start + self._files.end - rank)
                write = writer.write
                for record in encoded[start:stop]:
                    write(record)
                shard_events += int(lengths[start:stop].sum())
                rank += stop - start
                start = stop
                if rank == self._files.end:
                    writer.close()
                    writer = None
                    self._finish(shard_events)
            progress(len(encoded))
        if not self.done:
            problem = f"The split `{self._split}` ended after {rank} of {self._sequences} sequences."
            raise DataError(problem, remedy=_RESTART)
        return self.records

    def _columns(self, chunk: pa.Table, lengths: npt.NDArray[np.int64], stream: _EventStream) -> list[FeatureColumn]:
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        events = stream.take(int(offsets[-1]))
        single = np.arange(len(lengths) + 1, dtype=np.int64)
        columns = [FeatureColumn(name, values, offsets) for name, values in events.items()]
        for name in chunk.column_names:
            if name == "length":
                continue
            array = chunk[name].combine_chunks()
            array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
            if pa.types.is_int64(array.type):
                columns.append(FeatureColumn(name, array.to_numpy(zero_copy_only=False), single))
            else:
                columns.append(string_column(name, array))
        return columns

    def _finish(self, events: int) -> None:
        self._files.finish(sequences=self._files.end - self._files.first, events=events)


class _EventStream:
    """Hands out any number of events from batches of any size."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: list[dict[str, npt.NDArray[np.int64]]] = []
        self._size = 0

    def take(self, count: int) -> dict[str, npt.NDArray[np.int64]]:
        while self._size < count:
            batch = next(self._batches, None)
            if batch is None:
                raise DataError(f"{count - self._size} events are missing from the work database.", remedy=_RESTART)
            self._rest.append({name: batch.column(at).to_numpy() for at, name in enumerate(batch.schema.names)})
            self._size += batch.num_rows
        joined = self._rest[0]
        if len(self._rest) != 1:
            joined = {name: np.concatenate([part[name] for part in self._rest]) for name in joined}
        self._rest = [{name: values[count:] for name, values in joined.items()}]
        self._size -= count
        return {name: values[:count] for name, values in joined.items()}


def _chunks(contexts: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cuts batches of sequences so that each holds about `_CHUNK_EVENTS` events or one longer sequence."""
    for batch in contexts:
        table = pa.Table.from_batches([batch])
        bins = np.cumsum(table["length"].to_numpy()) // _CHUNK_EVENTS
        cuts = [0, *(np.flatnonzero(np.diff(bins)) + 1).tolist(), batch.num_rows]
        for start, stop in itertools.pairwise(cuts):
            if stop > start:
                yield table.slice(start, stop - start)
