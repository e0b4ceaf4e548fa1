"""The model card of a click model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.data.impressions.fields import Field, FieldEncoder
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.evaluation.report.numbers import metric_text
from tfrec.serving.card_page import card_page, evaluation_of, markdown_table
from tfrec.training.model_store import LoadedRun

_BODY = """\
## Use

Gives the probability of `{{ export.label }}` for rows of raw columns. Signatures:
{{ export.signatures | map("code") | join(", ") }}. Missing values are the empty text, not-a-number, and -2^63 where a
column is sent as int64; values that were not in the training rows count as missing. Calibration:
{{ export.config.calibrate }}
{%- if export.logit_shift %} ({{ "%.4f" | format(export.logit_shift) }} is added to logits){% endif +%}.

{{ inputs }}

## Data

{{ counts }}

Click rate of the training rows: {{ "%.4f" | format(export.click_rate) }}.

## Quality
{% if metrics %}

Split {{ split }}, {{ "{:,}".format(rows) }} rows
{%- if interval %}; interval of AUC by resampling rows: {{ interval }}{% endif +%}.

{{ metrics }}

Calibration error: {{ calibration_error }}.
{% else %}

This run was not evaluated.
{% endif %}
{% for alarm in alarms %}

**Alarm:** {{ alarm }}
{% endfor %}

## Limits

{% if export.logit_shift %}
- Probabilities are moved as if there were as many clicks as other rows: they rank, they are no click rates.
{% else %}
- Probabilities are those of the time of the training rows: click rates drift, so compare them with clicks from time to
  time.
{% endif %}
- What was logged decides what is learnt: rows that were never shown have no label.
- Numbers far beyond those of the training rows are extrapolated.
"""
_METRICS = ("auc", "logloss", "ap", "wll", "score", "score_balanced")


def click_model_card(export: Mapping[str, Any], loaded: LoadedRun, encoder: FieldEncoder) -> str:
    """Returns the model card of the export of a click model, in Markdown.

    Args:
        export: Content of `export.json`.
        loaded: The run.
        encoder: Its fitted features.
    """
    evaluation = evaluation_of(loaded)
    measured = evaluation.get("metrics", {})
    inputs = [
        [
            f"`{export['inputs'][field.name]['input']}`",
            field.kind,
            export["inputs"][field.name]["type"],
            _about(field, encoder),
        ]
        for field in encoder.fields.fields
    ]
    known_interval = measured.get("auc_low") is not None
    interval = f"{measured['auc_low']:.4f} to {measured['auc_high']:.4f}" if known_interval else ""
    return card_page(
        _BODY,
        export,
        loaded,
        evaluation,
        origin={"features": export["fields_hash"], "data": export["data"]},
        inputs=markdown_table(["input", "kind", "sent as", ""], inputs),
        counts=_shards(loaded),
        metrics=_quality(evaluation, str(export["model"])) if measured else "",
        split=evaluation.get("split"),
        rows=evaluation.get("rows"),
        interval=interval,
        calibration_error=metric_text("calibration_error", measured.get("calibration_error")),
    )


def _about(field: Field, encoder: FieldEncoder) -> str:
    parts = []
    if field.vocabulary is not None:
        parts.append(f"{encoder.vocabularies[field.vocabulary].size - FIRST_INDEX:,} known values")
    if field.scaling != "none" and field.kind in ("number", "numbers"):
        parts.append(f"{field.low:g} to {field.high:g} in training")
    if field.is_list:
        parts.append(f"{field.keep} {field.max_length} values are read, `{field.separator}` between them in text")
    return "; ".join(parts)


def _quality(evaluation: Mapping[str, Any], model: str) -> str:
    models = {model: evaluation["metrics"], **evaluation.get("baselines", {})}
    rows = [[name, *(metric_text(name, found[name]) for found in models.values())] for name in _METRICS]
    return markdown_table(["", *models], rows)


def _shards(loaded: LoadedRun) -> str:
    shards = loaded.manifest["dataset"]["shards"]
    rows = [[split, f"{len(digests):,}", f"`{digests[0][:16]}`"] for split, digests in shards.items()]
    return markdown_table(["split", "shards", "sha256 of the first"], rows)
