"""Texts written by a language model, each asked for once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, Protocol

from tfrec.data.dataset import InteractionDataset
from tfrec.data.text_vectors import training_fingerprint
from tfrec.errors import ServingError
from tfrec.text.prompts import Prompt
from tfrec.text.text_cache import TextCache
from tfrec.text.texts import Texts


class TextModel(Protocol):
    """What writes texts; `ChatModel` is one."""

    def request(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Returns all that an answer depends on, as JSON."""

    def answer(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Returns the answer; raises ServingError without one."""


def generate_texts(
    model: TextModel,
    prompts: Sequence[Prompt],
    dataset: InteractionDataset,
    *,
    cache: TextCache,
    source: Mapping[str, Any],
    parallel: int = 4,
    fall_back: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Texts:
    """Asks a model for every prompt that the cache has no answer to.

    Answers are kept as they come: an interrupted or failed call goes on where it was when it is made again.

    Args:
        model: The model.
        prompts: What to ask, see `item_prompts` and `user_prompts`.
        dataset: What the prompts were made from.
        cache: Answers of earlier calls.
        source: How the texts are made; kept with them.
        parallel: Requests at a time.
        fall_back: Take the template where the model gives no answer, instead of an error.
        progress: Called after every answer.

    Returns:
        Texts in the order of the prompts. `source` also says how many are templates.

    Raises:
        ServingError: The model gave no answer, and there is no falling back.
    """

    def ask(prompt: Prompt) -> str:
        request = model.request(prompt.messages)
        text = cache.get(request)
        if text is None:
            text = model.answer(prompt.messages)
            cache.put(request, text)
        return text

    texts = [""] * len(prompts)
    templates = 0
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        asked: dict[Future[str], int] = {pool.submit(ask, prompt): n for n, prompt in enumerate(prompts)}
        try:
            for future in as_completed(asked):
                try:
                    texts[asked[future]] = future.result()
                except ServingError:
                    if not fall_back:
                        raise
                    texts[asked[future]] = prompts[asked[future]].template
                    templates += 1
                progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    made = {**source, "generator": "language model", "templates_instead": templates}
    ids = [prompt.id for prompt in prompts]
    return Texts(ids, texts, "train_only", training_fingerprint(dataset), made).present()
