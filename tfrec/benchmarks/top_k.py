"""Search of saved and loaded indices for the best items, beside faiss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.config.index_config import IndexConfig
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.build import build_index
from tfrec.serving.index.ivf_index import IVFIndex
from tfrec.serving.index.vector_index import VectorIndex

_K = 10
_SPREAD = 0.4  # of the vectors of a group; centres of groups have spread 1

Search = Callable[[NDArray[np.float32]], NDArray[np.int32]]


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
        "A call takes and returns numpy arrays; threads are those that TensorFlow and faiss choose. "
        "p50 and p99 are of the calls of a round."
    )
    searches, queries = _clustered(report, settings, scratch)
    for batch, calls in settings.calls:
        _time(report, settings, searches, queries, batch, calls)
    return report


def _clustered(
    report: BenchmarkReport, settings: Settings, scratch: Path
) -> tuple[dict[str, Search], NDArray[np.float32]]:
    """Makes all indices and checks what they find; returns those that are timed, and queries."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((settings.groups, settings.dim), np.float32)
    vectors, queries = (
        centres[generator.integers(0, settings.groups, count)]
        + np.float32(_SPREAD) * generator.standard_normal((count, settings.dim), np.float32)
        for count in (settings.items, settings.queries)
    )
    group = "clustered vectors"
    searches = {**_faiss(report, vectors), **_tfrec(vectors, scratch / "clustered", ("exact", "ivf"))}
    recalls = _recalls(report, group, settings, searches, vectors, queries)
    for name, recall in recalls.items():
        least = 0.95 if "IVF" in name else 0.999
        if name.startswith("tfrec"):
            report.check(recall >= least, f"{name}: recall@{_K} on {group} is at least {least} ({recall:.4f})")
    vectors, others = (
        generator.standard_normal((count, settings.dim), np.float32)
        for count in (settings.random_items, settings.queries)
    )
    at_random = {**_faiss(None, vectors), **_tfrec(vectors, scratch / "random", ("ivf",))}
    at_random = {name: search for name, search in at_random.items() if "IVF" in name}
    _recalls(report, f"{settings.random_items:,} vectors at random", settings, at_random, vectors, others)
    return searches, queries


def _tfrec(vectors: NDArray[np.float32], root: Path, kinds: tuple[str, ...]) -> dict[str, Search]:
    """Makes indices and returns their searches, after saving and loading."""
    searches: dict[str, Search] = {}
    for kind in kinds:
        index = build_index(kind, vectors, first_index=FIRST_INDEX)
        name = f"tfrec {kind}"
        if isinstance(index, IVFIndex):
            name = f"tfrec IVF{index.num_clusters}, {index.num_probes} probes"
        searches[name] = _saved_and_loaded(index, root / kind)
    return searches


def _saved_and_loaded(index: VectorIndex, path: Path) -> Search:
    module = tf.Module()
    module.index = index
    module.search = tf.function(
        lambda queries: index.search(queries, _K),
        input_signature=[tf.TensorSpec([None, index.dim], tf.float32, name="queries")],
    )
    tf.saved_model.save(module, str(path))
    loaded = tf.saved_model.load(str(path))
    return lambda queries: loaded.search(queries)[1].numpy()


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


def _time(
    report: BenchmarkReport,
    settings: Settings,
    searches: dict[str, Search],
    queries: NDArray[np.float32],
    batch: int,
    calls: int,
) -> None:
    times: dict[str, list[NDArray[np.float64]]] = {name: [] for name in searches}
    parts = [queries[start : start + batch] for start in range(0, len(queries) - batch + 1, batch)]

    def case(name: str) -> Callable[[], float]:
        def measure() -> float:
            taken = [seconds(lambda i=i: searches[name](parts[i % len(parts)])) for i in range(calls)]  # type: ignore[misc]
            times[name].append(1e3 * np.array(taken))
            return float(np.median(times[name][-1]))

        return measure

    take_turns({name: case(name) for name in searches}, settings.repetitions)
    group, first = f"batch {batch}", next(iter(searches))
    medians: dict[str, list[float]] = {}
    for quantile in (99, 50):
        for name in searches:
            rounds = times[name][1:]  # the first was for warming up
            medians[name] = [float(np.percentile(taken, quantile)) for taken in rounds]
            report.add(group, name, f"ms, p{quantile}", medians[name], relative_to="" if name == first else first)
    exact = medians["tfrec exact"]
    for name in searches:
        if name.startswith("tfrec IVF"):
            faster = [base / value for base, value in zip(exact, medians[name], strict=True)]
            report.add(group, name, "times as fast as tfrec exact", faster)
