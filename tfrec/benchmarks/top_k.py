"""Search of saved and loaded indices for the best items, and whole requests, beside faiss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.served_catalogue import ServedCatalogue, raw_ids, served_catalogue
from tfrec.config.index_config import IndexConfig
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.ivf_index import IVFIndex

_K = 10
_SPREAD = 0.4  # of the vectors of a group; centres of groups have spread 1
_EVENTS = 5  # of the history of a request

Search = Callable[[NDArray[np.float32]], NDArray[np.int32]]
Call = Callable[[int], object]


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        items: Items of the catalogue, in groups.
        groups: Number of the groups.
        random_items: Items of the catalogue without groups, for which only recall is measured.
        dim: Width of the vectors.
        calls: Queries per call, and calls per round.
        queries: Queries that recall is measured for.
        repetitions: Rounds.
    """

    items: int = 1_000_000
    groups: int = 2_000
    random_items: int = 100_000
    dim: int = 64
    calls: tuple[tuple[int, int], ...] = ((1, 30), (32, 4))
    queries: int = 256
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(items=100_000, groups=500, random_items=20_000, repetitions=3)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Times searches for the 10 best of clustered vectors; recall also for vectors at random."""
    report = BenchmarkReport(
        "top_k", f"The {_K} best of {settings.items:,} items", settings.repetitions, asdict(settings)
    )
    report.notes.append(
        "A call takes and returns numpy arrays; threads are those that TensorFlow and faiss choose. `search` is the "
        "index of a SavedModel alone, which is what faiss does; `recommend` the whole signature of a GRU4Rec: raw ids "
        f"of {_EVENTS} events in, encoding, search, exclusion of the history, raw ids out. "
        "p50 and p99 are of the calls of a round."
    )
    yardsticks, served, queries = _clustered(report, settings, scratch)
    histories = raw_ids(np.random.default_rng(1).integers(0, settings.items, (len(queries), _EVENTS)))
    for batch, calls in settings.calls:
        starts = range(0, len(queries) - batch + 1, batch)
        parts = [slice(start, start + batch) for start in starts]

        def call(function: Callable[..., object], inputs: NDArray[np.generic], parts: list[slice] = parts) -> Call:
            return lambda i: function(inputs[parts[i % len(parts)]])

        cases = {name: call(search, queries) for name, search in yardsticks.items()}
        cases |= {f"search, {name}": call(catalogue.search, queries) for name, catalogue in served.items()}
        cases |= {f"recommend, {name}": call(catalogue.recommend, histories) for name, catalogue in served.items()}
        _time(report, settings, cases, batch, calls)
    return report


def _clustered(
    report: BenchmarkReport, settings: Settings, scratch: Path
) -> tuple[dict[str, Search], dict[str, ServedCatalogue], NDArray[np.float32]]:
    """Makes all indices and checks what they find; returns those of faiss, ours, and queries."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((settings.groups, settings.dim), np.float32)
    vectors, queries = (
        centres[generator.integers(0, settings.groups, count)]
        + np.float32(_SPREAD) * generator.standard_normal((count, settings.dim), np.float32)
        for count in (settings.items, settings.queries)
    )
    group = "clustered vectors"
    yardsticks, served = _faiss(report, vectors), _tfrec(vectors, scratch / "clustered", ("exact", "ivf"))
    searches = {**yardsticks, **{name: catalogue.search for name, catalogue in served.items()}}
    recalls = _recalls(report, group, settings, searches, vectors, queries)
    for name in served:
        least = 0.95 if "IVF" in name else 0.999
        report.check(
            recalls[name] >= least, f"{name}: recall@{_K} on {group} is at least {least} ({recalls[name]:.4f})"
        )
    vectors, others = (
        generator.standard_normal((count, settings.dim), np.float32)
        for count in (settings.random_items, settings.queries)
    )
    at_random = {name: search for name, search in _faiss(None, vectors).items() if "IVF" in name}
    at_random |= _unsaved(vectors)
    _recalls(report, f"{settings.random_items:,} vectors at random", settings, at_random, vectors, others)
    return yardsticks, served, queries


def _unsaved(vectors: NDArray[np.float32]) -> dict[str, Search]:
    """Returns the search of an inverted file that is only asked what it finds."""
    index = IVFIndex(vectors, first_index=FIRST_INDEX)
    search = tf.function(lambda queries: index.search(queries, _K)[1])
    name = f"tfrec IVF{index.num_clusters}, {index.num_probes} probes"
    return {name: lambda queries: search(tf.constant(queries)).numpy()}


def _tfrec(vectors: NDArray[np.float32], root: Path, kinds: tuple[str, ...]) -> dict[str, ServedCatalogue]:
    catalogues = [served_catalogue(vectors, kind, root / kind, _K) for kind in kinds]
    return {f"tfrec {catalogue.index}": catalogue for catalogue in catalogues}


def _faiss(report: BenchmarkReport | None, vectors: NDArray[np.float32]) -> dict[str, Search]:
    """Returns the searches of faiss, with as many clusters, learnt from as much, and probes as ours."""
    try:
        import faiss
    except ImportError:
        if report is not None:
            report.notes.append("faiss-cpu is not installed (extra `dev`): there is no yardstick.")
        return {}
    count, dim = vectors.shape
    config = IndexConfig()
    clusters = config.num_clusters or IVFIndex.default_clusters(count)
    flat = faiss.IndexFlatIP(dim)
    flat.add(vectors)
    coarse = faiss.IndexFlatIP(dim)
    inverted = faiss.IndexIVFFlat(coarse, dim, clusters, faiss.METRIC_INNER_PRODUCT)
    inverted.cp.niter = config.iterations
    inverted.cp.max_points_per_centroid = config.sample_per_cluster
    inverted.train(vectors)
    inverted.add(vectors)
    inverted.nprobe = config.num_probes
    return {
        "faiss IndexFlatIP": lambda queries: flat.search(queries, _K)[1] + FIRST_INDEX,
        # The coarse index is bound here so that it lives as long as the other, which does not own it.
        f"faiss IVF{clusters}, {config.num_probes} probes": lambda queries, coarse=coarse: (  # type: ignore[misc]
            inverted.search(queries, _K)[1] + FIRST_INDEX
        ),
    }


def _recalls(
    report: BenchmarkReport,
    group: str,
    settings: Settings,
    searches: dict[str, Search],
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
) -> dict[str, float]:
    """Returns and reports the share of the best items that every search finds."""
    hits = dict.fromkeys(searches, 0)
    for start in range(0, len(queries), 32):
        part = queries[start : start + 32]
        best = tf.math.top_k(tf.matmul(part, vectors, transpose_b=True), _K).indices.numpy() + FIRST_INDEX
        for name, search in searches.items():
            hits[name] += int((search(part)[:, :, np.newaxis] == best[:, np.newaxis]).sum())
    recalls = {name: count / (_K * len(queries)) for name, count in hits.items()}
    for name, recall in recalls.items():
        report.add(group, name, f"recall@{_K}", [recall] * settings.repetitions)
    return recalls


def _time(report: BenchmarkReport, settings: Settings, cases: dict[str, Call], batch: int, calls: int) -> None:
    times: dict[str, list[NDArray[np.float64]]] = {name: [] for name in cases}

    def case(name: str) -> Callable[[], float]:
        def measure() -> float:
            times[name].append(1e3 * np.array([seconds(lambda i=i: cases[name](i)) for i in range(calls)]))  # type: ignore[misc]
            return float(np.median(times[name][-1]))

        return measure

    take_turns({name: case(name) for name in cases}, settings.repetitions)
    group, first = f"batch {batch}", next(iter(cases))
    medians: dict[str, list[float]] = {}
    for quantile in (99, 50):
        for name in cases:
            rounds = times[name][1:]  # the first was for warming up
            medians[name] = [float(np.percentile(taken, quantile)) for taken in rounds]
            report.add(group, name, f"ms, p{quantile}", medians[name], relative_to="" if name == first else first)
    for what in ("search", "recommend"):
        exact = medians[f"{what}, tfrec exact"]
        for name in cases:
            if name.startswith(f"{what}, tfrec IVF"):
                faster = [base / value for base, value in zip(exact, medians[name], strict=True)]
                report.add(group, name, "times as fast as exact", faster)
