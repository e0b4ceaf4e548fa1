"""What a language model is asked, one conversation per item or user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfrec.data.dataset import InteractionDataset
from tfrec.data.user_vectors import user_vocabulary
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.text.item_metadata import ItemMetadata
from tfrec.text.template import item_sentence, user_sentence
from tfrec.text.training_events import recent_items

_ITEM_TASK = (
    "You write catalogue texts. Answer with a description of the item in two sentences: what it is, and whom it is "
    "for. Invent nothing that does not follow from what you know of it. Answer with the description alone."
)
_USER_TASK = (
    "You describe tastes. From what a user chose, the latest first, write two or three sentences about what they "
    "prefer: kinds, themes, moods. Do not list what was chosen. Answer with the description alone."
)


@dataclass(frozen=True)
class Prompt:
    """One conversation.

    Attributes:
        id: Raw id of the item or user.
        messages: Messages as the chat interface takes them.
        template: What the template says: the fall-back when the model gives no answer.
    """

    id: Any
    messages: list[dict[str, str]]
    template: str


def item_prompts(dataset: InteractionDataset, metadata: ItemMetadata) -> list[Prompt]:
    """Returns one prompt per item that something is known of."""
    ids = dataset.item_vocabulary.ids.tolist()
    texts = [item_sentence(metadata, index) for index in range(FIRST_INDEX, dataset.item_vocabulary.size)]
    return [_prompt(key, _ITEM_TASK, text, text) for key, text in zip(ids, texts, strict=True) if text]


def user_prompts(dataset: InteractionDataset, metadata: ItemMetadata, *, last: int, skip_last: int = 0) -> list[Prompt]:
    """Returns one prompt per user, from training events alone.

    Args:
        dataset: A dataset with a user column.
        metadata: Words by item index.
        last: How many events a prompt shows.
        skip_last: Leave out so many of the latest training events.
    """
    prompts = []
    recent = recent_items(dataset, last, skip_last=skip_last)[FIRST_INDEX:]  # [users, last]
    for key, row in zip(user_vocabulary(dataset).ids.tolist(), recent, strict=True):
        indices = row[row > 0].tolist()
        lines = [line for line in (item_sentence(metadata, index) for index in indices) if line]
        if lines:
            shown = "\n".join(f"- {line}" for line in lines)
            prompts.append(_prompt(key, _USER_TASK, shown, user_sentence(metadata, indices)))
    return prompts


def _prompt(key: Any, task: str, shown: str, template: str) -> Prompt:
    messages = [{"role": "system", "content": task}, {"role": "user", "content": shown}]
    return Prompt(key, messages, template)
