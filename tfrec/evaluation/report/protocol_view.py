"""One protocol of an evaluation document, and which of its numbers come first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfrec.evaluation.report.numbers import known

_PREFERRED_CUTOFF = 10


class ProtocolView:
    """Reads one entry of `protocols`.

    Args:
        document: The entry.
        position: 0 for the primary protocol.
    """

    def __init__(self, document: Mapping[str, Any], position: int = 0) -> None:
        self.document = document
        self.position = position
        kind, comma, detail = str(document.get("label") or document.get("name") or "unlabelled").partition(",")
        self.title = f"{kind} ranking{comma}{detail}"
        self.models: Mapping[str, Mapping[str, Any]] = document.get("models") or {}
        self.chance: Mapping[str, Any] = document.get("chance") or {}

    @property
    def model(self) -> str | None:
        """Name of the model that the run is about."""
        return next((name for name, entry in self.models.items() if entry.get("role") == "model"), None)

    @property
    def own(self) -> Mapping[str, Any]:
        """Entry of that model."""
        return self.models.get(self.model or "", {})

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines, in the order of the table."""
        return [name for name, entry in self.models.items() if entry.get("role") == "baseline"]

    @property
    def metrics(self) -> list[str]:
        """Metrics of the model."""
        return list(self.own.get("metrics") or {})

    @property
    def cutoffs(self) -> list[int]:
        """Cut-offs, from short to long."""
        found = {int(name.partition("@")[2]) for name in self.metrics if name.partition("@")[2].isdigit()}
        return sorted(found)

    @property
    def cutoff(self) -> int | None:
        """The cut-off of the figures: 10, else the longest."""
        if not self.cutoffs:
            return None
        return _PREFERRED_CUTOFF if _PREFERRED_CUTOFF in self.cutoffs else self.cutoffs[-1]

    @property
    def headline(self) -> list[str]:
        """The two metrics of the figures: hits and the discounted gain at one cut-off, as far as they were measured."""
        names = [f"{family}@{self.cutoff}" for family in ("hit", "ndcg")]
        return [name for name in names if name in self.metrics] or self.metrics[:1]

    @property
    def shown(self) -> list[str]:
        """Metrics of the main table; the others are in the complete one."""
        cutoffs = self.cutoffs
        last = cutoffs[-1] if cutoffs else 0
        names = [*(f"hit@{cutoff}" for cutoff in cutoffs), f"ndcg@{self.cutoff}", f"ndcg@{last}"]
        names += ["mrr" if "mrr" in self.metrics else f"mrr@{last}", "avg_rank"]
        return [name for name in dict.fromkeys(names) if name in self.metrics] or self.metrics[:8]

    @property
    def best_baseline(self) -> str | None:
        """The baseline with the highest first headline metric."""
        metric = self.headline[0] if self.headline else ""
        measured = [name for name in self.baselines if known(self.value(name, metric))]
        return max(measured, key=lambda name: float(self.value(name, metric))) if measured else None

    def row_role(self, name: str) -> Literal["", "model", "reference"]:
        """Returns how the row of a model is set apart in tables."""
        role = self.models.get(name, {}).get("role")
        return "model" if role == "model" else "reference" if role == "optimum" else ""

    def mark_role(self, name: str) -> Literal["model", "other", "muted"]:
        """Returns how a model is set apart in figures."""
        role = self.models.get(name, {}).get("role")
        return "model" if role == "model" else "muted" if role == "optimum" else "other"

    def value(self, name: str, metric: str) -> Any:
        """Returns a metric of a model, or None."""
        return (self.models.get(name, {}).get("metrics") or {}).get(metric)

    def interval(self, name: str, metric: str) -> tuple[float, float] | None:
        """Returns its bootstrap interval, or None."""
        found = (self.models.get(name, {}).get("intervals") or {}).get(metric) or {}
        low, high = found.get("low"), found.get("high")
        return (float(low), float(high)) if known(low) and known(high) else None

    def difference(self, name: str, metric: str) -> Mapping[str, Any]:
        """Returns the paired difference, model minus this one; empty when there is none."""
        return (self.models.get(name, {}).get("difference") or {}).get(metric) or {}
