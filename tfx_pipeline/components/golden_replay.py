"""Infra validation: does the exported model answer as the trained one, in a process that has only TensorFlow?"""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model
from tfx.utils import path_utils

from tfrec.serving.export_error import ExportError
from tfrec.serving.fresh_process import verify_export
from tfx_pipeline.components.artifact_files import BLESSED, write_note

REPORT = "replay.json"


@component
def GoldenReplay(  # type: ignore[no-untyped-def]
    model: InputArtifact[Model],
    blessing: OutputArtifact[InfraBlessing],
    code: Parameter[str],
):
    """Replays the golden requests of an exported model in a fresh process and blesses it when every answer is right.

    TFX's own InfraValidator starts a container of TensorFlow Serving; this needs neither Docker nor a network and
    compares answers, not only whether the model loads. A model that fails is not pushed; the run goes on, so that its
    report says why.

    Args:
        model: Output `model` of the Trainer.
        blessing: Gets the property `blessed`, and `replay.json` with what was found.
        code: Version of the code, so that blessings of another one do not come from the cache.
    """
    del code
    folder = Path(path_utils.serving_model_path(model.uri))
    try:
        report = verify_export(folder)
    except ExportError as error:
        write_note(blessing, REPORT, {"blessed": False, "reason": str(error)})
        blessing.set_int_custom_property(BLESSED, 0)
        return
    found = {key: report[key] for key in ("requests", "seconds")}
    write_note(blessing, REPORT, {"blessed": True, **found, "operations": len(report["ops"])})
    blessing.set_int_custom_property(BLESSED, 1)
