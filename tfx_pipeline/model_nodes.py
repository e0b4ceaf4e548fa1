"""The half of the pipeline from the transformed examples to Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfx.components import Evaluator, Trainer, Tuner
from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import trainer_pb2
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model, PushedModel

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.impression_run_configs import ImpressionEvaluationConfig
from tfrec.config.impression_schema import ImpressionSchema
from tfx_pipeline.components.golden_replay import GoldenReplay
from tfx_pipeline.components.redis_exporter import RedisExporter
from tfx_pipeline.components.version_pusher import VersionPusher
from tfx_pipeline.evaluator_config import MODULE, evaluator_config
from tfx_pipeline.gate_config import GateConfig
from tfx_pipeline.impressions.click_evaluator_config import MODULE as CLICK_MODULE
from tfx_pipeline.impressions.click_evaluator_config import click_evaluator_config
from tfx_pipeline.impressions.click_gate_config import ClickGateConfig
from tfx_pipeline.impressions.roles import ROLES
from tfx_pipeline.latest_pushed_model import MODEL, PUSHED_MODEL, LatestPushedModelStrategy
from tfx_pipeline.pipeline_settings import PipelineSettings
from tfx_pipeline.trainer_module import RUN_FN
from tfx_pipeline.tuner_module import TUNER_FN

BASELINE, PUSHER = "Resolver", "Pusher"


@dataclass(frozen=True)
class DataChannels:
    """What the data half hands over.

    Attributes:
        examples: Raw examples.
        transformed: Transformed examples.
        graph: The transform graph.
        schema: The checked schema.
    """

    examples: Any
    transformed: Any
    graph: Any
    schema: Any


def model_nodes(settings: PipelineSettings, data: DataChannels) -> list[Any]:
    """Returns [Tuner,] Trainer, Resolver, Evaluator, GoldenReplay, Pusher [, RedisExporter]."""
    train_args = trainer_pb2.TrainArgs(splits=["train"])
    eval_args = trainer_pb2.EvalArgs(splits=["train"])  # not used: the dataset directory has all splits
    nodes: list[Any] = []
    found: dict[str, Any] = {}
    shared = {"transform_graph": data.graph, "schema": data.schema, "train_args": train_args, "eval_args": eval_args}
    if settings.tuner is not None:
        custom = settings.tuner.custom_config()
        tuner = Tuner(tuner_fn=TUNER_FN, examples=data.transformed, custom_config=custom, **shared)
        nodes.append(tuner)
        found["hyperparameters"] = tuner.outputs["best_hyperparameters"]
    custom = settings.trainer.custom_config()
    trainer = Trainer(run_fn=RUN_FN, examples=data.transformed, custom_config=custom, **found, **shared)
    model = trainer.outputs["model"]
    baseline = Resolver(
        strategy_class=LatestPushedModelStrategy,
        **{MODEL: Channel(type=Model), PUSHED_MODEL: Channel(type=PushedModel)},
    ).with_id(BASELINE)
    config, module = _measured(settings)
    evaluator = Evaluator(
        examples=data.examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        example_splits=[settings.gate.split],
        eval_config=config,
        module_path=module,
    )
    replay = GoldenReplay(model=model, code=settings.trainer.code)
    pusher = VersionPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=replay.outputs["blessing"],
        destination=str(settings.serving),
        keep=settings.keep,
        again=int(settings.push_again),
        occasion=settings.occasion,
    ).with_id(PUSHER)
    nodes += [trainer, baseline, evaluator, replay, pusher]
    if settings.redis is not None:
        exporter = RedisExporter(
            model_run=trainer.outputs["model_run"],
            pushed_model=pusher.outputs["pushed_model"],
            server=settings.redis,
            occasion=settings.occasion,
        )
        nodes.append(exporter)
    return nodes


def _measured(settings: PipelineSettings) -> tuple[Any, str]:
    """What the Evaluator measures, and the module of its extractors, by the kind of model."""
    gate, rules, code = settings.gate, settings.rules, settings.trainer.code
    if isinstance(gate, ClickGateConfig) and isinstance(rules, ImpressionEvaluationConfig):
        roles = ImpressionSchema.model_validate(settings.conversion[ROLES])
        slices, _ = rules.slices_of([category.name for category in roles.categorical])
        return click_evaluator_config(gate, roles.label, slices, code), CLICK_MODULE
    if isinstance(gate, GateConfig) and isinstance(rules, EvaluationConfig):
        return evaluator_config(gate, rules, code), MODULE
    raise TypeError(f"Bounds `{type(gate).__name__}` do not go with rules `{type(rules).__name__}`.")
