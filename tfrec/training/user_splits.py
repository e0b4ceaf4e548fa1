"""Which splits can be measured by users: those that hold none of the users a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.pipeline_options import with_pipeline_options
from tfrec.data.sequence_pipeline import record_dataset
from tfrec.errors import DataError
from tfrec.training.run_manifest import check_same_data, dataset_fingerprint

_READ_BATCH = 4096


def check_users_apart(dataset: InteractionDataset, splits: Iterable[str]) -> None:
    """Checks that no user of these splits is one of the training split, by the split rule or the audit.

    Where the windows of a user are those of training, shifted by an event, finding them says what a model remembers,
    not what it has learnt of interests.

    Args:
        dataset: An open data set.
        splits: Names of splits; `train` itself is passed over.

    Raises:
        DataError: A split has users of the training split, or it is unknown whether it has.
    """
    for split in sorted({*splits} - {"train"}):
        if not _users_apart(dataset, split):
            raise DataError(
                f"By its split rule `{dataset.manifest.split.rule}`, `{split}` may have users of `train`: finding "
                "their windows would measure memory.",
                file=dataset.path,
                remedy="Convert the data with `--split random_user`; files given per split with `--audit`, "
                "which must find no user in both.",
            )


def check_users_unseen(dataset: InteractionDataset, split: str, run: Mapping[str, Any]) -> None:
    """Checks that no user of a split is one of those that a run was trained on, also when its data were others.

    Args:
        dataset: What is to be measured.
        split: Name of its split.
        run: `manifest.json` of the run. Unless the training splits are the same, its data set is read.

    Raises:
        DataError: The split has users of the training, or what the run was trained on is gone or has changed.
    """
    trained = run["dataset"]
    if dataset_fingerprint(dataset)["shards"].get("train") == trained["shards"]["train"] and split != "train":
        check_users_apart(dataset, [split])
        return
    try:
        training = InteractionDataset.open(trained["path"])
        check_same_data(dict(run), training)
    except DataError as error:
        raise DataError(
            f"Whether users of `{split}` were trained on is unknown: the data set of the run cannot be compared. "
            f"{error.problem}",
            file=trained["path"],
            remedy="Put it back where it was when the run was made.",
        ) from error
    users = _owners(dataset, split)
    shared = np.intersect1d(users, _owners(training, "train"), assume_unique=True)
    if shared.size:
        raise DataError(
            f"{shared.size:,} of {users.size:,} users of `{split}` are users that the run was trained on: finding "
            "their windows would measure memory.",
            file=dataset.path,
            remedy="Measure users that are not in the training split of the run.",
        )


def _users_apart(dataset: InteractionDataset, split: str) -> bool:
    manifest = dataset.manifest
    if manifest.split.rule == "random_user":
        return True
    return manifest.audit is not None and manifest.audit.users_in_several_splits.get(f"train+{split}") == 0


def _owners(dataset: InteractionDataset, split: str) -> NDArray[Any]:
    """Returns the different users of a split, 8 bytes each: ids, or hashes of 62 bits of texts."""
    spec = {"user_id": dataset.feature_spec["user_id"]}

    def read(serialized: tf.Tensor) -> tf.Tensor:
        owner = tf.io.parse_example(serialized, spec)["user_id"]
        return tf.strings.to_hash_bucket_fast(owner, 2**62) if owner.dtype == tf.string else owner

    batches = record_dataset(dataset, split).batch(_READ_BATCH).map(read).prefetch(2)
    with dataset.explain_data_loss(split):
        return np.unique(np.concatenate(list(with_pipeline_options(batches).as_numpy_iterator())))
