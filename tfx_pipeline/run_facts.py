"""What is known of a run when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfx_pipeline.blessing import Decision
from tfx_pipeline.lineage import Lineage
from tfx_pipeline.node_runner import NodeError, NodeRun
from tfx_pipeline.pipeline_settings import PipelineSettings


@dataclass(frozen=True)
class RunFacts:
    """What the nodes left.

    Attributes:
        settings: What they were told.
        lineage: From the metadata.
        nodes: What became of each.
        seconds: How long the run took.
        failure: The node that failed, if any.
        decision: Of the Evaluator, if it came so far.
        replay: What the replay of the golden requests found.
        push: What the Pusher did.
        publication: What the RedisExporter did.
        search: Where the Tuner's search is; empty when there was none.
    """

    settings: PipelineSettings
    lineage: Lineage
    nodes: list[NodeRun]
    seconds: float
    failure: NodeError | None = None
    decision: Decision | None = None
    replay: dict[str, Any] = field(default_factory=dict)
    push: dict[str, Any] = field(default_factory=dict)
    publication: dict[str, Any] = field(default_factory=dict)
    search: str = ""

    @property
    def model(self) -> str:
        """Name of the model; a run that begins after the Trainer has that of an earlier one, whatever it was told."""
        return str(self.push.get("model") or self.settings.trainer.model)

    @property
    def blocked(self) -> bool:
        """Whether a gate said no, wherever the run ended: the Evaluator, the replay or the Pusher."""
        refused = self.decision is not None and not self.decision.blessed
        return refused or _negative(self.replay, "blessed") or _negative(self.push, "pushed")

    @property
    def reasons(self) -> list[str]:
        """Why the model was blocked."""
        found = [] if self.decision is None else list(self.decision.reasons)
        if _negative(self.replay, "blessed"):
            found.append(str(self.replay.get("reason")))
        if self.blocked and not found:
            found.append(str(self.push.get("reason")))
        return found


def _negative(note: dict[str, Any], word: str) -> bool:
    return bool(note) and not note.get(word)
