"""What a run was made of: code, data, seeds, versions, machine."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import DataError
from tfrec.version import __version__

_PACKAGES = ("tensorflow", "keras", "tensorflow-recommenders", "numpy", "pyarrow", "pandas")
MANIFEST_VERSION = 1


def run_manifest(config: RunConfig, dataset: InteractionDataset | ImpressionDataset) -> dict[str, Any]:
    """Returns the content of `manifest.json` of a run.

    Args:
        config: Effective configuration.
        dataset: The data it is trained on.
    """
    return {
        "format_version": MANIFEST_VERSION,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "model": config.model.name,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "dataset": dataset_fingerprint(dataset),
        "commit": source_commit(),
        "versions": software_versions(),
        "machine": machine(),
    }


def software_versions() -> dict[str, str]:
    """Returns the versions of tfrec, Python and the packages that decide what a run computes."""
    return {
        "tfrec": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def machine() -> dict[str, Any]:
    """Returns platform, processor, number of cores of this process, and accelerators."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": _cores(),
        "accelerators": [device.name for device in tf.config.list_physical_devices("GPU")],
    }


def read_manifest(path: Path) -> dict[str, Any]:
    """Reads `manifest.json` of a run that is to be repeated.

    Raises:
        DataError: The file is missing, damaged, or not the manifest of a run.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"The manifest cannot be read: {error}", file=path) from error
    if not isinstance(manifest, dict) or not {"model", "config", "dataset"} <= manifest.keys():
        raise DataError("Not the manifest of a run.", file=path, remedy="Pass RUN/manifest.json of a training run.")
    return manifest


def check_same_data(manifest: dict[str, Any], dataset: InteractionDataset | ImpressionDataset) -> None:
    """Raises DataError unless a data set is, shard by shard, the one that a run was made with.

    Args:
        manifest: `manifest.json` of the run.
        dataset: The data set to be used now.
    """
    before, now = manifest["dataset"], dataset_fingerprint(dataset)
    changed = [split for split in before["shards"] if before["shards"][split] != now["shards"].get(split)]
    if before["schema_hash"] != now["schema_hash"] or changed:
        what = f"splits {', '.join(f'`{split}`' for split in changed)}" if changed else "features or vocabularies"
        raise DataError(
            f"The data has changed since the run was made: {what}.",
            file=dataset.path,
            remedy="Restore the data, or start a new run on the new data.",
        )


def dataset_fingerprint(dataset: InteractionDataset | ImpressionDataset) -> dict[str, Any]:
    """Returns where a data set lies, and the checksums that tell it from any other."""
    shards = {split: [shard.sha256 for shard in dataset.manifest.splits[split].shards] for split in dataset.splits}
    return {
        "path": str(dataset.path) if "://" in str(dataset.path) else str(Path(dataset.path).resolve()),
        "schema_hash": dataset.schema.hash,
        **({"vocab_size": dataset.item_vocabulary.size} if isinstance(dataset, InteractionDataset) else {}),
        "shards": shards,
    }


def source_commit() -> str | None:
    """Returns the commit of the source tree, with `-dirty` when it has changes, or None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
