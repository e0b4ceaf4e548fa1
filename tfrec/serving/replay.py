"""Replays the golden requests of an export in a process that has only TensorFlow.

This file runs as a script, `python -I replay.py VERSION_DIRECTORY`, and needs nothing but TensorFlow, numpy and the
standard library: Keras, tfrec and whatever could bring operations of its own cannot be imported while it runs. It
prints one JSON document: `differences`, `foreign_ops`, `foreign_modules` (all empty when the export is good),
`requests`, `ops` and `seconds`. Exit code 0: good; 1: not.

`assets.extra/golden_requests.json` is a JSON list of requests, each with the results of the model itself, computed
without the export:

    [{"name": "empty history",
      "signature": "recommend",
      "inputs": {"history": [[]], "history_length": [0], "k": 3, "exclude_ids": [[]], "allow_ids": [[]],
                 "exclude_history": true},
      "outputs": {"items": [[214716935, 214832672, 214836765]], "scores": [[0.031, 0.027, 0.011]], "count": [3]}}, ...]

Inputs and outputs are nested lists in the shapes of the signature; types are those that the signature declares. Ids
are JSON integers (64 bits) or strings as the vocabulary has them, floats are float32; serialized examples, which are
no text, are objects `{"b64": "..."}` as in the REST interface of TensorFlow Serving. `compare_outputs` says what
counts as equal: ids exactly, other numbers to 1e-5. Where the scores of neighbours in a list differ by less than
float32 can tell (1e-6 of the largest score of the list), the items may be in any order.
"""

from __future__ import annotations

import base64
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN_FILE = "assets.extra/golden_requests.json"
TOLERANCE = 1e-5
"""Of scores and vectors: absolute up to 1, relative above."""
TIE = 1e-6
"""Scores of a list that differ by less than this share of its largest are equal."""
FOREIGN = frozenset(
    [
        *("keras", "keras_hub", "keras_nlp", "keras_rs", "keras_tuner", "tf_keras"),
        *("tensorflow_addons", "tensorflow_hub", "tensorflow_io", "tensorflow_ranking", "tensorflow_recommenders"),
        *("tensorflow_text", "tensorflow_transform", "tfrec", "tfx", "tfx_bsl", "pandas", "pyarrow", "scann", "torch"),
    ]
)
"""Packages that a server of TensorFlow does not have."""
PYTHON_OPS = frozenset(["PyFunc", "PyFuncStateless", "EagerPyFunc", "GeneratorDataset", "NumpyFunction"])
"""Operations that call Python: registered wherever Python runs TensorFlow, absent from a server."""

Answers = Mapping[str, NDArray[Any]]


def compare_outputs(expected: Mapping[str, Any], received: Mapping[str, Any]) -> list[str]:
    """Compares the outputs of one request.

    Args:
        expected: `outputs` of a golden request.
        received: The same as arrays or nested lists; text may be bytes.

    Returns:
        One readable line per difference; empty when the outputs are equal.
    """
    wanted = {name: _as_array(value) for name, value in expected.items()}
    found = {name: _as_array(value) for name, value in received.items()}
    if wanted.keys() != found.keys():
        return [f"outputs {sorted(wanted)} expected, {sorted(found)} received"]
    shapes = [
        f"`{name}`: shape {list(wanted[name].shape)} expected, {list(found[name].shape)} received"
        for name in wanted
        if wanted[name].shape != found[name].shape
    ]
    if shapes:
        return shapes
    differences = []
    for name in sorted(wanted):
        if name == "items" and "scores" in wanted:
            differences += _compare_lists(wanted, found)
        elif np.issubdtype(wanted[name].dtype, np.floating):
            differences += _compare_numbers(name, wanted[name], found[name])
        elif not np.array_equal(wanted[name], found[name]):
            differences.append(f"`{name}`: {wanted[name].tolist()} expected, {found[name].tolist()} received")
    return differences


def replay(signatures: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sends golden requests to the signatures of a loaded SavedModel.

    Args:
        signatures: `tf.saved_model.load(path).signatures`.
        requests: Content of the golden file.

    Returns:
        One readable line per difference, with the name of the request.
    """
    import tensorflow as tf

    differences = []
    for request in requests:
        label = f"{request['name']} ({request['signature']})"
        function = signatures.get(request["signature"]) if hasattr(signatures, "get") else None
        if function is None:
            differences.append(f"{label}: the export has no such signature")
            continue
        specs = function.structured_input_signature[1]
        if specs.keys() != request["inputs"].keys():
            differences.append(f"{label}: the signature takes {sorted(specs)}, not {sorted(request['inputs'])}")
            continue
        inputs = {name: as_tensor(tf, request["inputs"][name], spec) for name, spec in specs.items()}
        outputs = {name: value.numpy() for name, value in function(**inputs).items()}
        differences += [f"{label}: {line}" for line in compare_outputs(request["outputs"], outputs)]
    return differences


def graph_ops(path: Path) -> list[str]:
    """Returns the types of the operations of a SavedModel, functions called by it included, in alphabetical order."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    names: set[str] = set()
    for graph in message.meta_graphs:
        functions = graph.graph_def.library.function
        own = {function.signature.name for function in functions}
        nodes = [*graph.graph_def.node, *(node for function in functions for node in function.node_def)]
        names |= {node.op for node in nodes} - own
    return sorted(names)


def foreign_ops(ops: Sequence[str]) -> list[str]:
    """Returns those operations that TensorFlow itself does not register in C++, or that call Python."""
    from tensorflow.python.framework import op_def_registry

    return [op for op in ops if op in PYTHON_OPS or op_def_registry.get(op) is None]


def binary(value: Any) -> Any:
    """Returns an input with the bytes that objects `{"b64": "..."}` stand for, at any depth of lists."""
    if isinstance(value, Mapping):
        return base64.b64decode(value["b64"])
    return [binary(inner) for inner in value] if isinstance(value, list) else value


def as_tensor(tf: Any, value: Any, spec: Any) -> Any:
    """Returns an input of a golden request as the tensor that a signature takes.

    Args:
        tf: The module `tensorflow`.
        value: Nested lists.
        spec: The `tf.TensorSpec` of the signature.
    """
    plain = binary(value)
    return tf.constant(plain, spec.dtype, shape=np.shape(plain))


def _as_array(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind in "SO":
        flat = [text.decode() if isinstance(text, bytes) else str(text) for text in array.ravel().tolist()]
        array = np.array(flat, object).reshape(array.shape)
    elif array.dtype.kind == "U":
        array = array.astype(object)
    return array


def _compare_numbers(name: str, wanted: NDArray[Any], found: NDArray[Any]) -> list[str]:
    allowed = TOLERANCE * np.maximum(1.0, np.abs(wanted.astype(np.float64)))
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = ~(np.abs(wanted.astype(np.float64) - found.astype(np.float64)) <= allowed)  # not a number is wrong
    if not wrong.any():
        return []
    place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
    value = f"{float(wanted[place]):.8g} expected, {float(found[place]):.8g} received"
    return [f"`{name}`{list(place)}: {value} ({int(wrong.sum())} of {wrong.size} values differ)"]


def _compare_lists(wanted: Answers, found: Answers) -> list[str]:
    """Compares ranked items, in groups of equal scores."""
    differences = []
    for row, (expected, received) in enumerate(zip(wanted["items"], found["items"], strict=True)):
        if np.array_equal(expected, received):
            continue
        count = int(wanted["count"][row]) if "count" in wanted else len(expected)
        scores = wanted["scores"][row][:count].astype(np.float64)
        tie = TIE * float(np.abs(scores).max(initial=0.0))
        edges = [0, *(np.flatnonzero(-np.diff(scores) > tie) + 1).tolist(), count]
        groups = list(itertools.pairwise(edges))
        cut_off = count == len(expected)  # items that were just not in the list are equal to its last ones
        whole = np.array_equal(expected[count:], received[count:])
        for number, (start, stop) in enumerate(groups):
            mine, theirs = expected[start:stop].tolist(), received[start:stop].tolist()
            same = set(mine) == set(theirs) and len(set(theirs)) == stop - start
            last = cut_off and number == len(groups) - 1 and stop - start > 1
            if not whole or (not same and not (last and len(set(theirs)) == stop - start)):
                differences.append(f"`items`[{row}]: {_short(expected)} expected, {_short(received)} received")
                break
    return differences


def _short(items: NDArray[Any]) -> str:
    shown = ", ".join(str(item) for item in items[:12].tolist())
    return f"{shown}, ..." if len(items) > 12 else shown


class _Blocker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes foreign packages fail when they are imported.

    TensorFlow asks for Keras when it starts and goes on without it; it must find an entry, though.
    """

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        foreign = fullname.partition(".")[0] in FOREIGN
        return importlib.machinery.ModuleSpec(fullname, self) if foreign else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        raise ModuleNotFoundError(f"No module named {spec.name!r} beside a server of TensorFlow", name=spec.name)

    def exec_module(self, module: object) -> None:
        raise ModuleNotFoundError("Never reached.")


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)


def run(path: Path) -> dict[str, Any]:
    """Loads an export as a server would, replays its golden requests and looks at its operations."""
    started = time.perf_counter()
    import tensorflow as tf

    load: Callable[..., Any] = tf.saved_model.load
    before = _packages()
    requests = json.loads((path / GOLDEN_FILE).read_text(encoding="utf-8"))
    ops = graph_ops(path)
    report: dict[str, Any] = {"requests": len(requests), "foreign_ops": foreign_ops(ops), "ops": ops}
    report["differences"] = [] if report["foreign_ops"] else replay(load(str(path)).signatures, requests)
    late = {name for name in _packages() - before if not name.startswith("_")}
    report["foreign_modules"] = sorted(late | (_packages() & FOREIGN))
    report["seconds"] = round(time.perf_counter() - started, 3)
    return report


def main(arguments: Sequence[str]) -> int:
    """Runs the script."""
    sys.meta_path.insert(0, _Blocker())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    report = run(Path(arguments[0]))
    sys.stdout.write(json.dumps(report) + "\n")
    return int(any(report[name] for name in ("differences", "foreign_ops", "foreign_modules")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
