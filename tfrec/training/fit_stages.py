"""Fits a model of two branches in stages, each of which begins with the best weights of the one before."""

from __future__ import annotations

import functools
from typing import Any

from rich.console import Console

from tfrec.config.run_config import SequenceRunConfig, StagedRunConfig
from tfrec.config.stages_config import JOINT_STAGES, STAGES, JointStageConfig, StageConfig, StageName
from tfrec.config.training_config import SequenceTrainingConfig
from tfrec.config.ur4rec_terms import weighted_losses
from tfrec.data.dataset import InteractionDataset
from tfrec.data.training_sequences import batches_per_epoch, training_sequences
from tfrec.evaluation.branch_scorer import BranchScorer
from tfrec.evaluation.scorer import Scorer
from tfrec.files import write_json
from tfrec.layers.given_tables import learned_weights
from tfrec.models.alternation import Alternation
from tfrec.models.stage_plan import RETRIEVER, SASREC, StagePlan, branch_variables
from tfrec.models.ur4rec import UR4Rec
from tfrec.models.ur4rec_step import UR4RecStep
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.seeds import derive_seed
from tfrec.training.checkpoints import list_checkpoints, restore_checkpoint, save_checkpoint
from tfrec.training.fit_epochs import fit_epochs
from tfrec.training.fit_sequences import state_objective
from tfrec.training.model_store import describe_model
from tfrec.training.router_usage import RouterUsage, copy_usage
from tfrec.training.run_directory import RunDirectory
from tfrec.training.stage_history import join_histories
from tfrec.training.stage_validation import StageValidation
from tfrec.training.text_provenance import text_provenance
from tfrec.training.user_memories import (
    MEMORIES_FILE,
    load_memory_state,
    memory_statistics,
    save_memory_state,
    write_memories,
)

_DONE = "stage.json"


def fit_stages(
    model: UR4Rec,
    dataset: InteractionDataset,
    config: StagedRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Runs the stages; each has its own `stages/NAME/` with checkpoints, best weights, history and TensorBoard files.

    A stage whose branch is switched off is passed over, which is said and recorded. The run directory itself gets the
    final weights, the history of all stages, and the memories of the users.

    Args:
        model: Model to train; it must be new unless `resume`.
        dataset: Its split `train` is read.
        config: Effective configuration.
        run: The run directory.
        console: For progress.
        resume: Continue in the stage, and from the checkpoint, where an earlier process ended.

    Returns:
        `epochs` and `seconds` of all stages together, `loss` and `events_per_second` of the last; `stages`, what
        `fit_epochs` returned of each; `texts`, where they come from; `fusion` and `memory`, what has become of them.
    """
    describe_model(model, run)
    if model.memory is not None:
        model.memory.prepare_training()
        if model.memory.trigger == "explicit":
            console.print("Memories stay unused: `trigger: explicit` leaves it to callers of `mark`.", markup=False)
    texts = text_provenance(config, dataset, console)
    stages: dict[str, dict[str, Any]] = {}
    before: RunDirectory | None = None
    for stage in config.stages.run:
        if not trained_branches(model, stage):
            console.print(f"Stage {stage}: passed over, as its branch is switched off.", markup=False)
            stages[stage] = {"skipped": "its branch is switched off"}
            continue
        folder = RunDirectory(run.path / "stages" / stage)
        finished = folder.path / _DONE
        if resume and finished.is_file():
            stages[stage] = run.read_json(finished)
        else:
            console.print(f"Stage {stage}", markup=False, style="bold")
            if before is not None:
                _load_weights(model, before)
            stages[stage] = _fit_stage(model, stage, dataset, config, folder, console, resume=resume)
            write_json(finished, stages[stage])
        before = folder
    assert before is not None, "A configuration names a stage that trains something."
    for stage in (name for name in STAGES if name not in config.stages.run):
        console.print(f"Stage {stage}: not in `stages.run`.", markup=False)
    _load_weights(model, before)
    save_checkpoint(run.checkpoints, "final", weights=learned_weights(model))
    rows = join_histories([(name, run.path / "stages" / name / "history.csv") for name in stages], run.history)
    copy_usage(run.path / "stages", list(stages), run.path)
    summary = {**_summary(stages, rows), "texts": texts}
    if model.fusion is not None and model.fusion.mode != "adaptive":
        shares = model.fusion.shared_weights()
        summary["fusion"] = dict(zip((SASREC, RETRIEVER), shares, strict=True))
    if model.memory is not None:
        write_memories(run.path / MEMORIES_FILE, model.memory, dataset.vocabulary("user"))
        summary["memory"] = memory_statistics(model.memory)
    return summary


def trained_branches(model: UR4Rec, stage: StageName) -> list[str]:
    """Returns the branches that a stage trains in a model, of `sasrec` and `retriever`; none where it has none."""
    present = {SASREC: model.sasrec is not None, RETRIEVER: model.retriever is not None}
    joint = stage in JOINT_STAGES
    return [name for name in (RETRIEVER, SASREC) if present[name] and (joint or stage == f"pretrain_{name}")]


def _fit_stage(
    model: UR4Rec,
    stage: StageName,
    dataset: InteractionDataset,
    config: StagedRunConfig,
    folder: RunDirectory,
    console: Console,
    *,
    resume: bool,
) -> dict[str, Any]:
    settings: StageConfig = getattr(config.stages, stage)
    training, branches = config.training, trained_branches(model, stage)
    steps = batches_per_epoch(dataset.num_sequences("train"), training.batch_size) * settings.epochs
    steps = steps_of_a_branch(settings, branches, steps)
    optimizers = {name: _optimizer(model, name, config, settings, steps) for name in branches}
    plan = StagePlan(
        stage,
        state_objective(config.objective, dataset.item_vocabulary.counts),
        config.joint,
        dataset.item_vocabulary.counts,
        optimizers,
        Alternation(settings) if isinstance(settings, JointStageConfig) and len(branches) == 2 else None,
    )
    step = UR4RecStep(model, plan)
    terms = weighted_losses(step.losses or branches, config.joint, alone=stage not in JOINT_STAGES)
    console.print(f"  loss: {terms}", markup=False, soft_wrap=True)
    model.prepare_stage(step, step.metric_names)
    model.compile(optimizer=optimizers[branches[0]], jit_compile=False)
    folder.path.mkdir(parents=True, exist_ok=True)
    validation = functools.partial(
        StageValidation,
        scorer=_scorer(model, stage),
        from_start=stage in JOINT_STAGES,
        memory=model.memory,
    )
    summary = fit_epochs(
        model,
        lambda next_epoch: training_sequences(
            dataset,
            "train",
            training.batch_size,
            max_length=model.history_window + 1,
            seed=derive_seed(config.seed, stage),
            bucket_by_length=training.bucket_by_length,
            next_epoch=next_epoch,
        ),
        dataset,
        _run_config(config, settings),
        folder,
        console,
        events_per_epoch=_events_per_epoch(dataset, config, branches),
        training_state=step.training_state,
        resume=resume,
        validation_class=validation,
        callbacks=[RouterUsage(folder.path)] if model.retriever is not None else [],
    )
    if not settings.patience and model.memory is not None:
        save_memory_state(model.memory, folder.path)
    return summary


def steps_of_a_branch(settings: StageConfig, branches: list[str], steps: int) -> int:
    """Returns over how many of the steps of a stage the step size of a branch runs its course.

    Two branches that take turns have half of them each, and one more; how many they have where turns depend on the loss
    is not known before, so there the course is that of all steps.
    """
    alternate = settings.alternate if isinstance(settings, JointStageConfig) and len(branches) == 2 else None
    return (steps + 1) // 2 if alternate == "parity" else steps


def _run_config(config: StagedRunConfig, settings: StageConfig) -> SequenceRunConfig:
    """What `fit_epochs` reads of the configuration of a run, for one stage."""
    shared = config.training.model_dump(include={"monitor", "checkpoint_minutes", "checkpoints_to_keep"})
    own = settings.model_dump(include={"epochs", "patience", "weight_average"})
    training = SequenceTrainingConfig(batch_size=config.training.batch_size, **shared, **own)
    return SequenceRunConfig(model=config.model, seed=config.seed, evaluation=config.evaluation, training=training)


def _optimizer(model: UR4Rec, branch: str, config: StagedRunConfig, settings: StageConfig, steps: int) -> Any:
    chosen = config.sasrec_optimizer if branch == SASREC else config.retriever_optimizer
    chosen = chosen.model_copy(update={"learning_rate": chosen.learning_rate * settings.rate_factor})
    return build_sequence_optimizer(chosen, branch_variables(model, branch), steps)


def _scorer(model: UR4Rec, stage: StageName) -> Scorer:
    if stage == "pretrain_sasrec" and model.sasrec is not None:
        scorer: Scorer = model.sasrec  # factorised, so that it is ranked quickly
        return scorer
    return BranchScorer(model, "score_by_retriever" if stage == "pretrain_retriever" else "score_targets")


def _events_per_epoch(dataset: InteractionDataset, config: StagedRunConfig, branches: list[str]) -> int:
    """Length of the progress bar: all events but the first of SASRec, the most that the retriever predicts."""
    sequences = dataset.num_sequences("train")
    events = dataset.num_events("train") - sequences
    return events if SASREC in branches else min(events, sequences * config.joint.targets_per_sequence)


def _load_weights(model: UR4Rec, stage: RunDirectory) -> None:
    """Puts the weights that a finished stage leaves into the model, and the memory as it was then."""
    checkpoints = list_checkpoints(stage.best) or list_checkpoints(stage.checkpoints)
    restore_checkpoint(checkpoints[-1], weights=learned_weights(model))
    if model.memory is not None:
        load_memory_state(model.memory, stage.path)


def _summary(stages: dict[str, dict[str, Any]], epochs: int) -> dict[str, Any]:
    fitted = [found for found in stages.values() if "skipped" not in found]
    return {
        "epochs": epochs,
        "loss": fitted[-1]["loss"],
        "seconds": sum(found["seconds"] for found in fitted),
        "events_per_second": fitted[-1]["events_per_second"],
        "stages": stages,
    }
