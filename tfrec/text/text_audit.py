"""Do texts of users name what they are to predict?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.targets import target_positions
from tfrec.data.text_vectors import as_ids_of
from tfrec.data.user_vectors import user_vocabulary
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import ConfigError, DataError
from tfrec.text.item_metadata import read_item_metadata
from tfrec.text.texts import Texts
from tfrec.text.training_events import recent_items

_ARTICLE = re.compile(r"^(?P<title>.+), (?P<article>the|a|an|le|la|les|il|der|die|das|el|los)$")
_SHORTEST = 4
_CLEAR = 3.0  # standard errors
_BATCH = 1024


def audit_user_texts(dataset: InteractionDataset, texts: Texts) -> dict[str, Any]:
    """Counts how many texts name the title of an event of their user that they must not know.

    A title may be in a text by chance, or because it is popular: the same texts are searched for the targets of other
    users as well. Texts that name their own user's targets clearly more often were made from them.

    Args:
        dataset: A dataset with users, item titles and held-out splits.
        texts: Texts of users.

    Returns:
        `texts`: how many are of users of the dataset; `rows`: for the last training event (which a text may know) and
        the targets of every held-out split the number of pairs `n`, the share `own` of texts that name the title, the
        share `others` that name the target of another user, and `excess`, the difference in standard errors; `leaks`:
        the held-out splits with an excess above 3.

    Raises:
        ConfigError: The dataset has no users, or items without titles.
        DataError: No text is of a user of the dataset.
    """
    titles = [_pattern(title) for title in read_item_metadata(dataset).titles]
    if not any(titles):
        raise ConfigError("The items have no titles.", remedy="Convert the log with --items FILE, with a title column.")
    vocabulary = user_vocabulary(dataset)
    index = vocabulary.lookup(as_ids_of(vocabulary, texts.ids))
    by_user = {
        user: _plain(text) for user, text in zip(index.tolist(), texts.texts, strict=True) if user >= FIRST_INDEX
    }
    if not by_user:
        raise DataError(f"No text is of a user of the dataset, for example that of `{texts.ids[0]}`.")
    last = recent_items(dataset, 1)[:, 0]  # [users]
    rows = {"last training event": _row(np.arange(len(last)), last, titles, by_user)}
    for split in (split for split in dataset.splits if split != "train"):
        rows[split] = _row(*_targets(dataset, split), titles, by_user)
    leaks = [split for split in rows if split in dataset.splits and rows[split]["excess"] > _CLEAR]
    return {"texts": len(by_user), "rows": rows, "leaks": leaks}


def _targets(dataset: InteractionDataset, split: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Users and items of the targets of a split."""
    users, items = [], []
    for batch in sequence_dataset(dataset, split, _BATCH):
        query, target = target_positions(batch)
        users.append(batch["user"].numpy()[query.numpy()[:, 0]])
        items.append(target.numpy())
    return np.concatenate(users), np.concatenate(items)


def _row(
    users: NDArray[Any], items: NDArray[np.int32], titles: Sequence[re.Pattern[str] | None], texts: dict[int, str]
) -> dict[str, float]:
    pairs = [
        (user, item)
        for user, item in zip(users.tolist(), items.tolist(), strict=True)
        if user in texts and titles[item] is not None
    ]
    number = len(pairs)
    if number < 2:
        return {"n": number, "own": 0.0, "others": 0.0, "excess": 0.0}
    shift = max(1, number // 2)  # the target of a user far away in the file
    own = _share([(texts[user], titles[item]) for user, item in pairs])
    strangers = [(texts[user], titles[pairs[(n + shift) % number][1]]) for n, (user, _) in enumerate(pairs)]
    others = _share(strangers)
    error = np.sqrt(max(own * (1 - own) + others * (1 - others), 1 / number) / number)
    return {"n": number, "own": own, "others": others, "excess": float((own - others) / error)}


def _share(pairs: Sequence[tuple[str, re.Pattern[str] | None]]) -> float:
    return sum(title is not None and title.search(text) is not None for text, title in pairs) / len(pairs)


def _pattern(title: str) -> re.Pattern[str] | None:
    """The words of a title, without an article that was put behind it; None for titles too short to tell."""
    plain = _plain(title)
    found = _ARTICLE.match(plain)
    plain = found["title"] if found else plain
    return re.compile(rf"(?<!\w){re.escape(plain)}(?!\w)") if len(plain) >= _SHORTEST else None


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("\u2019", "'").split())
