"""The model card: what is served, how good it is, how that was measured, and what it is not good for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.data.dataset import InteractionDataset
from tfrec.serving.card_page import card_page, evaluation_of, markdown_table
from tfrec.training.model_store import LoadedRun

_BODY = """\
## Use

Recommends next items after a history of events. Signatures: {{ export.signatures | map("code") | join(", ") }}.
Ids are {{ export.id_type }}; {{ export.candidates | thousands }} of {{ export["items"] | thousands }} items can be
recommended. The model reads the latest {{ export.history_window | thousands }} events of a history
{%- if export.request_features %} and asks for {{ export.request_features | map("code") | join(", ") }}{% endif +%}.
Index: {{ export.config.index.kind }}
{%- if export.recall is not none %}, which finds {{ "%.2f" | format(100 * export.recall) }} % of the items that exact
search finds (over the golden requests){% endif +%}.

## Data

{{ data_table }}

{{ counts.users | thousands }} users or sessions, {{ export["items"] | thousands }} items
({{ counts.cold_items | thousands }} without training events). Split: {{ data.split.rule }}
{%- if data.split.note %} ({{ data.split.note }}){% endif %}. Sources:

{% for source in data.sources %}
- `{{ source.path }}`, {{ source.events | thousands }} events, sha256 `{{ source.sha256[:16] }}`
{% endfor %}

## Quality
{% if not protocols %}

This run was not evaluated.
{% endif %}
{% for protocol in protocols %}

Split {{ split }}, protocol {{ protocol.label }}, tie rule {{ protocol.tie_rule }},
{{ protocol.num_targets | thousands }} targets among {{ protocol.num_candidates | thousands }} items
{%- if confidence %}; intervals of {{ "%g" | format(100 * confidence) }} % by resampling each {{ unit }}{% endif +%}.

{{ protocol.table }}
{% endfor %}
{% for alarm in alarms %}

**Alarm:** {{ alarm }}
{% endfor %}

## Limits

- Items without training events are recommended only as far as the model knows their features, and last by popularity.
- After a history in which no item is known, the most popular items are recommended, whoever asks.
- Scores are comparable within one list, not between lists or versions. They are no probabilities.
- What was logged decides what is learnt: items that were shown more were clicked more.
{% if data.split.rule == "leave_one_out" %}
- The split leaks across users in time: numbers are higher than in production.
{% endif %}
- The model is valid for the items of its vocabulary. New items need a new training run.
"""
_HEADLINE = ("recall", "mrr", "ndcg")


def model_card(export: Mapping[str, Any], loaded: LoadedRun, dataset: InteractionDataset) -> str:
    """Returns the model card of an export, in Markdown.

    Args:
        export: Content of `export.json`.
        loaded: The run.
        dataset: Its data.
    """
    manifest = dataset.manifest
    evaluation = evaluation_of(loaded)
    bootstrap = evaluation.get("bootstrap") or {}
    return card_page(
        _BODY,
        export,
        loaded,
        evaluation,
        origin={"item vocabulary": export["vocabulary_hash"]},
        data_table=_data_table(dataset),
        counts=manifest.counts,
        data=manifest,
        split=evaluation.get("split"),
        protocols=[_protocol(protocol, str(export["model"])) for protocol in evaluation.get("protocols", [])],
        confidence=bootstrap.get("confidence"),
        unit=bootstrap.get("unit"),
    )


def _protocol(section: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The section with a table of the headline metrics: the model, its intervals, its baselines and chance."""
    own = section["models"][model]
    baselines = {name: other for name, other in section["models"].items() if other.get("role") == "baseline"}
    rows = []
    for name in [f"{family}@{cutoff}" for cutoff in section["cutoffs"] for family in _HEADLINE]:
        if name not in own["metrics"]:
            continue
        interval = (own.get("intervals") or {}).get(name)
        shown = f"{interval['low']:.4f} to {interval['high']:.4f}" if interval else ""
        others = [_number(other["metrics"].get(name)) for other in baselines.values()]
        rows.append([name, _number(own["metrics"][name]), shown, *others, _number(section["chance"].get(name))])
    return {**section, "table": markdown_table(["", model, "interval", *baselines, "chance"], rows)}


def _data_table(dataset: InteractionDataset) -> str:
    splits = sorted(dataset.splits, key=lambda name: name != "train")
    counts = {"sequences": dataset.num_sequences, "events": dataset.num_events, "targets": dataset.num_targets}
    rows = [[what, *(f"{count(split):,}" for split in splits)] for what, count in counts.items()]
    return markdown_table(["", *splits], rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
