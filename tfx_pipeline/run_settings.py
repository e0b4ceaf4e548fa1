"""From the flags of `python -m tfx_pipeline.run` to the settings of the nodes; mistakes are found before the run."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tfrec
from tfrec.config.click_export_config import ClickExportConfig
from tfrec.config.export_config import load_export_config
from tfrec.config.impression_schema import ImpressionSchema
from tfrec.config.load import load_section, read_yaml
from tfrec.config.run_config import ImpressionRunConfig, PairRunConfig, RunConfig
from tfrec.data.column_types import Roles
from tfrec.errors import ConfigError
from tfrec.registry import model_class
from tfrec.stores.redis.redis_address import URL_VARIABLE, RedisAddress
from tfx_pipeline.anomaly_gate.gate_bounds import load_bounds
from tfx_pipeline.beam_flags import beam_flags
from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.evaluator_config import check_gate
from tfx_pipeline.features import TransformSettings
from tfx_pipeline.gate_config import GateConfig
from tfx_pipeline.impressions.click_gate_config import ClickGateConfig, check_click_gate
from tfx_pipeline.impressions.conversion_flags import check_export, check_kind
from tfx_pipeline.impressions.roles import ROLES
from tfx_pipeline.pipeline_settings import PipelineSettings
from tfx_pipeline.side_inputs import SideInputs
from tfx_pipeline.split_names import makes_test, makes_valid
from tfx_pipeline.trainer_module import TrainerSettings
from tfx_pipeline.tuner_module import TunerSettings


def make_settings(
    *,
    root: Path,
    conversion: Mapping[str, Any],
    model: str,
    config: Path | None = None,
    assignments: Sequence[str] = (),
    gate: Sequence[str] = (),
    anomalies: Sequence[str] = (),
    export: Sequence[str] = (),
    tune: int = 0,
    space: Path | None = None,
    searcher: str = "random",
    objective: str = "",
    serving: Path | None = None,
    keep: int = 0,
    push_again: bool = False,
    redis: str | None = None,
    runner: str = "",
    beam: Sequence[str] = (),
    cache: bool = True,
    side: Mapping[str, Any] | None = None,
    item_vectors: Sequence[str] = (),
) -> PipelineSettings:
    """Returns the settings of a run; the arguments are the flags of the command.

    Raises:
        ConfigError: A model, setting, bound, runner or server is unknown or does not fit the rest.
    """
    code = code_version()
    text = ""
    if config is not None:
        read_yaml(config)  # for its messages
        text = config.read_text(encoding="utf-8")
    clicks = ROLES in conversion
    sides = _side(side or {}, item_vectors, conversion)
    trainer = TrainerSettings(model, text, tuple(assignments), tuple(export), side=sides, code=code)
    if clicks:
        check_export(load_section(ClickExportConfig, export, flag="--export"))
    else:
        load_export_config(None, export, flag="--export")
    with tempfile.TemporaryDirectory() as scratch:
        effective = trainer.run_config(Path(scratch))
        check_kind(effective, conversion)
        trainer = replace(trainer, effective=json.dumps(effective.model_dump(mode="json"), sort_keys=True))
        tuner = None
        if tune:
            told = TunerSettings(model, text, trainer.assignments, tune, searcher, objective, side=sides, code=code)
            tuner = _tuner(replace(told, space=str(space or ""), directory=str(root / "tuning")), Path(scratch))
    bounds = load_gate(gate, clicks=clicks)
    if isinstance(bounds, ClickGateConfig):
        check_click_gate(bounds)
    elif isinstance(bounds, GateConfig):
        check_gate(bounds)
    remarks: tuple[str, ...] = ()
    if clicks and redis is not None:
        remarks = (f"RedisExporter is left out: the click model `{model}` has no vectors of users and items.",)
        redis = None
    if isinstance(effective, ImpressionRunConfig):
        roles = ImpressionSchema.model_validate(conversion[ROLES])
        _, passed_over = effective.evaluation.slices_of([category.name for category in roles.categorical])
        remarks += (passed_over,) if passed_over else ()
    _check(effective, bounds, conversion, tuned=tuner is not None)
    return PipelineSettings(
        root=root,
        conversion=conversion,
        trainer=trainer,
        gate=bounds,
        anomalies=load_bounds(anomalies),
        rules=effective.evaluation,
        transform=TransformSettings(categories=tuple(conversion.get("event_features") or ()), code=code),
        serving=(serving or root / "serving").resolve(),
        keep=keep,
        push_again=push_again,
        redis=_server(redis, model),
        tuner=tuner,
        beam=beam_flags(runner, beam),
        cache=cache,
        occasion=datetime.datetime.now(datetime.timezone.utc).isoformat(),
        remarks=remarks,
    )


def code_version() -> str:
    """Returns a checksum of the source of this package: models of other code are not taken from the cache."""
    total = hashlib.sha256()
    for package in (Path(tfrec.__file__).parent, Path(__file__).parent):
        for path in sorted(package.rglob("*.py")):
            total.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def load_gate(assignments: Sequence[str], *, clicks: bool = False) -> EvaluatorBounds:
    """Returns the bounds; those that are given take the place of the default ones of the same kind.

    Args:
        assignments: `KEY=VALUE`.
        clicks: Whether they are of a click model.

    Raises:
        ConfigError: An unknown key, or a value that is no number.
    """
    return load_section(ClickGateConfig if clicks else GateConfig, assignments, flag="--gate")


def _side(flags: Mapping[str, Any], vectors: Sequence[str], conversion: Mapping[str, Any]) -> str:
    """Returns the text of `SideInputs`; empty where nothing is given."""
    given = [name for name, value in flags.items() if value not in (None, ())]
    if not given and not vectors:
        return ""
    if ROLES in conversion:
        flag = (given or ["item_vectors"])[0].replace("_", "-")
        raise ConfigError(
            f"`--{flag}` is of items or users, and the log is of impressions.",
            remedy="Join the columns to the impressions.",
        )
    user, session = conversion.get("user_col"), conversion.get("session_col")
    roles = Roles(user, session, conversion.get("item_col") or "item_id", conversion.get("time_col") or "timestamp")
    return SideInputs.found(flags, vectors, roles, conversion.get("event_features") or ()).to_json()


def _tuner(settings: TunerSettings, scratch: Path) -> TunerSettings:
    """Adds what decides the trials; mistakes in space, searcher and objective are found on the way."""
    search = settings.search_settings(scratch)
    return replace(settings, searched=json.dumps(search.document(), sort_keys=True))


def _check(config: RunConfig, gate: EvaluatorBounds, conversion: Mapping[str, Any], *, tuned: bool) -> None:
    if config.data.path is not None:
        raise ConfigError("`data.path` is set, but the pipeline makes its own data set.", remedy="Leave it out.")
    if isinstance(config, PairRunConfig) and conversion.get("split") != "random_user":
        raise ConfigError(
            f"`{config.model.name}` is measured by users, and they must not be those of training.",
            remedy="Pass --split random_user.",
        )
    if config.validates and not makes_valid(conversion):
        raise ConfigError("`patience` needs a validation split.", remedy="Pass --valid-days, or set it to 0.")
    if tuned and not makes_valid(conversion):
        raise ConfigError("The Tuner needs a validation split.", remedy="Pass --valid-days.")
    if gate.split == "valid" and (tuned or config.validates):
        raise ConfigError(
            "The gate would measure on the split `valid`, by which the model is chosen.",
            remedy="Use `--gate split=test`.",
        )
    made = {"valid": makes_valid(conversion), "test": makes_test(conversion)}
    if not made.get(gate.split):
        raise ConfigError(f"There is no split `{gate.split}` for the gate.", remedy="Use test, or make a valid split.")


def _server(redis: str | None, model: str) -> str | None:
    """Puts the URL into the environment, where the exporter looks for it, and returns it without the password."""
    if redis is None:
        return None
    if not getattr(model_class(model), "has_vectors", False):
        raise ConfigError(f"The model `{model}` has no vectors to publish.", remedy="Leave --redis out.")
    address = RedisAddress(None if redis == "env" else redis)
    if redis != "env":
        os.environ[URL_VARIABLE] = redis
    return address.shown
