"""Which splits can be measured by users: those that hold none of the users a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable

from tfrec.data.dataset import InteractionDataset
from tfrec.errors import DataError


def check_users_apart(dataset: InteractionDataset, splits: Iterable[str]) -> None:
    """Checks that no user of these splits is one of the training split.

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


def _users_apart(dataset: InteractionDataset, split: str) -> bool:
    manifest = dataset.manifest
    if manifest.split.rule == "random_user":
        return True
    return manifest.audit is not None and manifest.audit.users_in_several_splits.get(f"train+{split}") == 0
