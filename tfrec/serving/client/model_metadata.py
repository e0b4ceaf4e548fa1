"""What a server says about a model: its versions and the tensors of its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


@dataclass(frozen=True)
class TensorDeclaration:
    """An input or output of a signature.

    Attributes:
        dtype: `int64`, `int32`, `float32`, `string`, `bool` ...
        shape: Sizes, None where any size goes; None for an unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def of(cls, dtype: str, sizes: list[int] | None) -> TensorDeclaration:
        """Returns a declaration from the name of a protobuf `DataType` and the sizes of a `TensorShapeProto`."""
        shape = None if sizes is None else tuple(None if size < 0 else size for size in sizes)
        return cls(_DTYPES.get(dtype, dtype.removeprefix("DT_").lower()), shape)


@dataclass(frozen=True)
class Signature:
    """A function of the model.

    Attributes:
        name: For example `recommend`.
        inputs: Declarations by name.
        outputs: Declarations by name.
    """

    name: str
    inputs: Mapping[str, TensorDeclaration]
    outputs: Mapping[str, TensorDeclaration]


@dataclass(frozen=True)
class ModelMetadata:
    """The signatures of one version of a model.

    Attributes:
        model: Name on the server.
        version: The version in service.
        signatures: By name.
    """

    model: str
    version: int
    signatures: Mapping[str, Signature]

    @property
    def id_type(self) -> Literal["int64", "string"]:
        """Type of the raw item ids."""
        inputs = [s.inputs[name] for s in self.signatures.values() for name in ("history", "ids") if name in s.inputs]
        return "string" if inputs and inputs[0].dtype == "string" else "int64"

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelMetadata:
        """Reads the answer of `GET /v1/models/NAME/metadata`.

        Raises:
            KeyError, TypeError, ValueError: The document is something else.
        """
        definitions = document["metadata"]["signature_def"]["signature_def"]
        signatures = {
            name: Signature(name, _declarations(definition.get("inputs")), _declarations(definition.get("outputs")))
            for name, definition in definitions.items()
        }
        spec = document["model_spec"]
        return cls(spec["name"], int(spec["version"]), signatures)


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version on the server.

    Attributes:
        version: Its number.
        state: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        error: What went wrong; empty when nothing did.
    """

    version: int
    state: str
    error: str = ""


def _declarations(tensors: Mapping[str, Any] | None) -> dict[str, TensorDeclaration]:
    declared = {}
    for name, tensor in (tensors or {}).items():
        shape = tensor.get("tensor_shape") or {}
        sizes = None if shape.get("unknown_rank") else [int(dim["size"]) for dim in shape.get("dim", [])]
        declared[name] = TensorDeclaration.of(tensor["dtype"], sizes)
    return declared
