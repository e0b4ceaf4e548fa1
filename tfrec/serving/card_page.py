"""The page of every model card: what it is, what is particular to its kind, licence and origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tfrec.training.model_store import LoadedRun

_HEAD = """\
# {{ export.model }}, version {{ export.version }}

{{ summary }}

Exported {{ export.created }} by tfrec {{ export.versions.tfrec }} with TensorFlow {{ export.versions.tensorflow }}.

"""
_TAIL = """
## Licence

The code of tfrec is under Apache-2.0. The weights are derived from the data above: what their licence allows decides
what may be done with the weights. It is not known to tfrec; add it here before the model is passed on.

## Origin

| | |
|---|---|
| run | `{{ export.run }}` |
| checkpoint | `{{ export.checkpoint }}` |
| schema | `{{ export.schema_hash }}` |
{% for name, value in origin.items() %}
| {{ name }} | `{{ value }}` |
{% endfor %}
| trained | {{ run.created }}, seed {{ run.seed }}, commit `{{ run.commit or "unknown" }}` |
| software | {{ software }} |
"""


def card_page(
    body: str,
    export: Mapping[str, Any],
    loaded: LoadedRun,
    evaluation: Mapping[str, Any],
    *,
    origin: Mapping[str, str],
    **values: Any,
) -> str:
    """Returns a model card, in Markdown.

    Args:
        body: Template of the sections from use to limits; it has the filters `thousands` and `code`, and `alarms`:
            sentences of the evaluation.
        export: Content of `export.json`; `export` in the template.
        loaded: The run.
        evaluation: As of `evaluation_of`.
        origin: What the model was made of beside run, checkpoint and schema, by name.
        **values: What else the template shows.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True, trim_blocks=True
    )
    environment.filters.update(thousands=lambda number: f"{number:,}", code=lambda text: f"`{text}`")
    return environment.from_string(_HEAD + body + _TAIL).render(
        export=export,
        summary=(type(loaded.model).__doc__ or "").strip().splitlines()[0],
        alarms=[alarm["message"] for alarm in evaluation.get("alarms", [])],
        origin=origin,
        run=loaded.manifest,
        software=", ".join(f"{name} {version}" for name, version in loaded.manifest["versions"].items()),
        **values,
    )


def evaluation_of(loaded: LoadedRun) -> dict[str, Any]:
    """Returns the evaluation of a run; empty where it was not evaluated."""
    path = loaded.directory.evaluation_document
    return loaded.directory.read_json(path) if path.is_file() else {}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
