"""A training step of UR4Rec in one of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.config.stages_config import JOINT_STAGES
from tfrec.data.sequence_cuts import SequenceCuts, sequence_cuts
from tfrec.data.targets import target_positions
from tfrec.layers.item_table import RESERVED_ROWS
from tfrec.layers.score_fusion import standardise
from tfrec.layers.user_memory import MemoryUpdate
from tfrec.losses.list_softmax import NEVER, CandidateList, candidate_list, list_distillation, list_softmax
from tfrec.models.stage_plan import RETRIEVER, SASREC, StagePlan, branch_variables
from tfrec.models.ur4rec import UR4Rec, latest_events
from tfrec.seeds import derive_seed

_MAIN = (SASREC, RETRIEVER, "fused")


class _Lists(NamedTuple):
    """Scores of the retriever over the list of a step, and what they were made of."""

    candidates: CandidateList
    retrieved: tf.Tensor
    experts: tf.Tensor
    user: tf.Tensor
    items: Any
    update: MemoryUpdate | None


class UR4RecStep:
    """Called with a batch, takes one step; the memory is written after it, from what precedes all targets.

    Args:
        model: The model.
        plan: What is trained.
    """

    def __init__(self, model: UR4Rec, plan: StagePlan) -> None:
        self.model, self.plan, self.joint = model, plan, plan.joint
        counts = np.asarray(plan.item_counts, np.float64)
        self._share = tf.constant(counts / max(1.0, counts.sum()), tf.float32)  # [vocab]
        self._count = tf.Variable(0, dtype=tf.int32, trainable=False, name="steps_of_stage")
        self.losses = self._loss_names()
        self.measures = self._measure_names()

    @property
    def training_state(self) -> list[tf.Variable]:
        """Variables that a resumed run needs besides weights and the first optimiser."""
        found = [self._count]
        found += self.plan.alternation.state if self.plan.alternation is not None else []
        found += list(self.model.memory.training_state.values()) if self.model.memory is not None else []
        for optimizer in list(self.plan.optimizers.values())[1:]:
            found += [variable.value for variable in optimizer.variables]
        return found

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        alternation = self.plan.alternation
        if alternation is None:
            losses, events = self._step(batch, tuple(self.plan.optimizers))
        else:
            second = alternation.second.read_value()
            losses, events = tf.cond(
                second, lambda: self._step(batch, (RETRIEVER,)), lambda: self._step(batch, (SASREC,))
            )
            alternation.record(losses[0])
        self._count.assign_add(1)
        model = self.model
        with tf.control_dependencies([events]):
            model.loss_tracker.update_state(losses[0])
            for number, metric in enumerate(model.stage_metrics, start=1):
                measured = tf.math.is_finite(losses[number])  # NaN: not of this turn
                value = tf.where(measured, losses[number], 0.0)
                metric.update_state(value, sample_weight=tf.cast(measured, tf.float32))
            model.event_counter.update_state(events)
            model.step_counter.update_state(1.0)
        return dict(model.get_metrics_result())

    def _step(self, batch: Mapping[str, tf.Tensor], trained: tuple[str, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        """Trains some branches; returns what is measured, NaN for what is not of this turn, and the events."""
        variables = {name: branch_variables(self.model, name) for name in trained}
        with tf.GradientTape() as tape:
            losses, lists, events = self._losses(batch, trained)
            total = self._total(losses)
        wanted = [variable for name in trained for variable in variables[name]]
        found = tape.gradient(total, [variable.value for variable in wanted])
        gradients = {id(variable): gradient for variable, gradient in zip(wanted, found, strict=True)}
        with tf.control_dependencies([total]):
            for name in trained:
                pairs = [(gradients[id(one)], one) for one in variables[name] if gradients[id(one)] is not None]
                if pairs:
                    self.plan.optimizers[name].apply(*map(list, zip(*pairs, strict=True)))
            if lists is not None and lists.update is not None and self.model.memory is not None:
                self.model.memory.commit(lists.update)
        nothing = tf.constant(float("nan"))
        measured = [losses.get(name, nothing) for name in self.losses]
        if lists is not None:
            measured += tf.unstack(lists.experts, num=len(self.measures) - int(self.model.memory is not None))
            if lists.update is not None:
                measured.append(tf.reduce_sum(tf.cast(lists.update.due, tf.float32)))
        return tf.stack([total, *measured]), events

    # ---- losses ---------------------------------------------------------------------------------------------------

    def _losses(
        self, batch: Mapping[str, tf.Tensor], trained: tuple[str, ...]
    ) -> tuple[dict[str, tf.Tensor], _Lists | None, tf.Tensor]:
        length = tf.cast(batch["length"], tf.int32)
        batch = {**batch, "item": _at_least_two_wide(batch["item"])}
        losses: dict[str, tf.Tensor] = {}
        events = tf.constant(0.0)
        states = None
        if self._runs(SASREC):
            states = self._sasrec_states(batch, length, dropout=SASREC in trained)
            if SASREC in trained and (self.joint.sasrec_weight or not self._joint):
                losses[SASREC], events = self._sasrec_loss(batch, length, states)
        if not self._runs(RETRIEVER):
            return losses, None, events
        memory = self.model.config.memory
        cuts = sequence_cuts(
            batch["item"],
            length,
            self._seed("cuts"),
            targets=self.joint.targets_per_sequence,
            early_share=memory.share if self.model.memory is not None else 0.0,
            last=self.joint.last_events,
        )
        lists = self._lists(batch, cuts, dropout=RETRIEVER in trained)
        if RETRIEVER in trained:
            if self.joint.retriever_weight or not self._joint:
                losses[RETRIEVER] = _mean(list_softmax(lists.retrieved, lists.candidates))
            losses |= self._auxiliary(lists)
        if states is not None:
            losses |= self._fused(lists, states, cuts, trained)
        if SASREC not in losses:
            events = tf.cast(tf.size(cuts.target), tf.float32)
        return losses, lists, events

    def _total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Weighted sum; in a stage of one branch its own loss has the weight 1."""
        joint = self.joint
        weights = dict(zip(_MAIN, (joint.sasrec_weight, joint.retriever_weight, joint.fused_weight), strict=True))
        total = tf.constant(0.0)
        for name, loss in losses.items():
            if name not in _MAIN:
                total += getattr(joint, f"{name}_weight") * loss
            elif not self._joint:
                total += loss
            elif joint.uncertainty:
                scale = self.model.loss_scales.value[_MAIN.index(name)]
                total += weights[name] * tf.exp(-scale) * loss + scale
            else:
                total += weights[name] * loss
        return total

    def _sasrec_states(self, batch: Mapping[str, tf.Tensor], length: tf.Tensor, *, dropout: bool) -> tf.Tensor:
        sasrec: Any = self.model.sasrec
        items, seed = batch["item"][:, :-1], self._seed("dropout") if dropout else None
        states = sasrec.encode_window(items, tf.maximum(length - 1, 0), dropout_seed=seed)  # [batch, seq - 1, dim]
        return sasrec.comparable(states)

    def _sasrec_loss(
        self, batch: Mapping[str, tf.Tensor], length: tf.Tensor, states: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss of every event but the first, as `SequenceEncoder.train_step` has it, and their number."""
        everything = {"item": batch["item"], "length": length, "num_targets": length - 1}
        query_index, targets = target_positions(everything)  # [targets, 2], [targets]
        known = targets >= RESERVED_ROWS
        query_index, targets = tf.boolean_mask(query_index, known), tf.boolean_mask(targets, known)
        sasrec: Any = self.model.sasrec
        losses = self.plan.objective(
            tf.gather_nd(states, query_index),
            targets,
            sasrec.candidate_table(self._seed("candidates")),
            history=batch["item"],
            sequence_of_target=query_index[:, 0],
            seed=self._seed("negatives"),
        )  # [targets]
        return _mean(losses), tf.cast(tf.size(targets), tf.float32)

    def _lists(self, batch: Mapping[str, tf.Tensor], cuts: SequenceCuts, *, dropout: bool) -> _Lists:
        model, seed = self.model, self._seed("retriever") if dropout else None
        retriever: Any = model.retriever
        users, rows = batch.get("user"), tf.range(tf.shape(batch["item"])[0])

        def before(events: tf.Tensor) -> tf.Tensor:
            return latest_events(batch["item"], tf.stack([rows, events - 1], axis=1), model.history_window)

        side = retriever.user_side(users, before(cuts.cut), dropout_seed=seed)
        update = memories = None
        if model.memory is not None and users is not None:
            early = retriever.user_side(users, before(cuts.early))
            known = early.known & (cuts.early > 0)
            update = model.memory.propose(users, early.vector, cuts.events, known)
            memories = model.memory.memories_of(users, update)
        candidates = candidate_list(
            cuts.target, cuts.row, batch["item"], self._share, self.joint.num_negatives, self._seed("draws")
        )
        items = retriever.candidates(candidates.ids, dropout_seed=seed)
        retrieved, weights = retriever(side, items.vectors, memory=model.memory, memories=memories, dropout_seed=seed)
        experts = tf.reduce_mean(weights, axis=[0, 1])  # [experts]
        return _Lists(candidates, retrieved, experts, side.vector, items, update)

    def _fused(
        self, lists: _Lists, states: tf.Tensor, cuts: SequenceCuts, trained: tuple[str, ...]
    ) -> dict[str, tf.Tensor]:
        sasrec, fusion, retriever = self.model.sasrec, self.model.fusion, self.model.retriever
        if sasrec is None or fusion is None or retriever is None:
            return {}
        rows = tf.range(tf.shape(states)[0])
        state = tf.gather_nd(states, tf.stack([rows, tf.maximum(cuts.cut - 1, 0)], axis=1))  # [batch, dim]
        vectors, bias = sasrec.candidate_table().lookup(lists.candidates.ids)
        own = tf.matmul(state, vectors, transpose_b=True) + (0.0 if bias is None else bias)  # [batch, candidates]
        warm = tf.gather(retriever.trained.value, lists.candidates.ids) > 0  # [candidates]
        first = standardise(own, lists.candidates.drawn & warm)
        second = standardise(lists.retrieved, lists.candidates.drawn)
        first = first if SASREC in trained else tf.stop_gradient(first)
        second = second if RETRIEVER in trained else tf.stop_gradient(second)
        scale = fusion.scale()
        losses = {}
        if self.joint.fused_weight:
            weights = fusion.weights_of(state, lists.user)  # [batch, 2]
            losses["fused"] = _mean(list_softmax(scale * fusion(first, second, weights, ~warm), lists.candidates))
        if self.joint.distillation_weight:
            temperature = self.joint.distillation_temperature
            # SASRec knows nothing of the other candidates, so there is nothing to learn of its scores of them.
            first, second = (tf.where(warm, tf.stop_gradient(scale) * own, NEVER) for own in (first, second))
            both = list_distillation(first, second, temperature) + list_distillation(second, first, temperature)
            losses["distillation"] = _mean(both)
        return losses

    def _auxiliary(self, lists: _Lists) -> dict[str, tf.Tensor]:
        joint, items, losses = self.joint, lists.items, {}
        if joint.consistency_weight and items.text is not None and items.embedding is not None:
            there = tf.reduce_any(items.text != 0.0, axis=1) & tf.reduce_any(items.embedding != 0.0, axis=1)
            apart = tf.reduce_sum(tf.square(items.text - items.embedding), axis=1)  # [candidates]
            losses["consistency"] = _mean(tf.boolean_mask(apart, there))
        if joint.contrastive_weight:
            user, item = (tf.math.l2_normalize(part, axis=1) for part in (lists.user, items.vectors))
            cosines = tf.matmul(user, item, transpose_b=True) / joint.contrastive_temperature
            losses["contrastive"] = _mean(list_softmax(cosines, lists.candidates))
        retriever: Any = self.model.retriever
        if joint.diversity_weight:
            proxies = tf.math.l2_normalize(retriever.aggregation.proxies.value, axis=1)
            apart = tf.matmul(proxies, proxies, transpose_b=True) + 0.1 * tf.eye(tf.shape(proxies)[0])
            losses["diversity"] = -tf.linalg.logdet(apart)
        return losses

    # ---- what runs ------------------------------------------------------------------------------------------------

    @property
    def _joint(self) -> bool:
        return self.plan.stage in JOINT_STAGES

    def _runs(self, branch: str) -> bool:
        return branch in self.plan.optimizers

    @property
    def metric_names(self) -> list[str]:
        """Names of what a step measures besides its loss."""
        return [*(f"{name}_loss" for name in self.losses), *self.measures]

    def _measure_names(self) -> list[str]:
        if not self._runs(RETRIEVER) or self.model.retriever is None:
            return []
        found = [f"expert_{name}" for name in self.model.retriever.expert_names]
        return [*found, *(["memory_updates"] if self.model.memory is not None else [])]

    def _loss_names(self) -> list[str]:
        joint, retriever, names = self.joint, self.model.retriever, []
        if self._joint and self._runs(SASREC) and joint.sasrec_weight:
            names.append(SASREC)
        if self._runs(RETRIEVER):
            names += [RETRIEVER] if joint.retriever_weight or not self._joint else []
            both = retriever is not None and retriever.item_texts is not None and retriever.embeddings is not None
            names += ["consistency"] if joint.consistency_weight and both else []
            names += [name for name in ("contrastive", "diversity") if getattr(joint, f"{name}_weight")]
        if self._runs(SASREC) and self._runs(RETRIEVER):
            names += [name for name in ("fused", "distillation") if getattr(joint, f"{name}_weight")]
        return names

    def _seed(self, purpose: str) -> tf.Tensor:
        """Seed of one purpose in this step, int32 `[2]`; another one in every stage."""
        return tf.stack([derive_seed(self.model.seed, f"{self.plan.stage} {purpose}"), self._count])


def _at_least_two_wide(items: tf.Tensor) -> tf.Tensor:
    """Pads int32 `[batch, seq]`: with sequences of one event alone there would be no state to look at."""
    return tf.pad(items, [[0, 0], [0, tf.maximum(2 - tf.shape(items)[1], 0)]])


def _mean(losses: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32))
