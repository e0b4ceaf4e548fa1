"""Texts by a language model: a chat server of our own on this machine, and what happens when it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tfrec.command import run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.data.text_vectors import vector_names
from tfrec.errors import ConfigError, ServingError
from tfrec.text.chat_model import ChatModel, ChatSettings
from tfrec.text.generate import generate_texts
from tfrec.text.item_metadata import read_item_metadata
from tfrec.text.prompts import item_prompts, user_prompts
from tfrec.text.text_cache import TextCache
from tfrec.texts import main

KEY = "sk-secret"
MESSAGES = [{"role": "user", "content": "hello"}]


class ChatServer:
    """Answers with what `reply` says: a status, headers and a body or the text of a completion."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.reply: Callable[[dict[str, Any]], tuple[int, dict[str, str], Any]] = lambda body: (200, {}, "fine")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.seen.append((self.path, dict(self.headers), body))
                status, headers, content = server.reply(body)
                if isinstance(content, str):
                    content = {"choices": [{"message": {"role": "assistant", "content": content}}]}
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[ChatServer]:
    found = ChatServer()
    yield found
    found.http.shutdown()
    found.http.server_close()


def test_a_request_as_the_interface_wants_it(server: ChatServer) -> None:
    server.reply = lambda body: (200, {}, "  A film.\n")
    assert ChatModel(ChatSettings(server.url + "/", "mini"), key=KEY).answer(MESSAGES) == "A film."
    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {"model": "mini", "messages": MESSAGES, "max_tokens": 200, "temperature": 0.0}
    ChatModel(ChatSettings(server.url, "mini")).answer(MESSAGES)
    assert "Authorization" not in server.seen[1][1]


def test_busy_servers_are_asked_again(server: ChatServer) -> None:
    """Three busy answers: the first says how long; then 1 s and 2 s doubled up to 4 s, less up to half by chance."""
    replies = iter([(429, {"Retry-After": "7"}, b"slow down"), (503, {}, b""), (500, {}, b""), (200, {}, "at last")])
    server.reply = lambda body: next(replies)
    waits: list[float] = []
    model = ChatModel(ChatSettings(server.url, "mini"), sleep=waits.append)
    assert model.answer(MESSAGES) == "at last"
    assert waits[0] == 7.0
    assert 1.0 <= waits[1] <= 2.0
    assert 2.0 <= waits[2] <= 4.0
    server.reply = lambda body: (429, {"Retry-After": "100000"}, b"slow down")
    waits.clear()
    with pytest.raises(ServingError, match="HTTP 429: slow down") as caught:
        ChatModel(ChatSettings(server.url, "mini", attempts=3), sleep=waits.append).answer(MESSAGES)
    assert (caught.value.code, waits) == ("RESOURCE_EXHAUSTED", [60.0, 60.0])


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ((401, {}, b"bad key sk-secret, go away"), r"HTTP 401: bad key \*\*\*, go away.*Check the key"),
        ((302, {"Location": "http://127.0.0.1:9/v1/chat/completions"}, b""), "HTTP 302: nothing"),
        ((200, {}, b"<html>"), "Not a chat completion: <html>"),
        ((200, {}, {"choices": []}), "Not a chat completion"),
        ((200, {}, "   "), "The answer is empty"),
    ],
)
def test_answers_that_are_none_are_not_asked_for_again(
    server: ChatServer, reply: tuple[int, dict[str, str], Any], problem: str
) -> None:
    server.reply = lambda body: reply
    with pytest.raises(ServingError, match=problem) as caught:
        ChatModel(ChatSettings(server.url, "mini"), key=KEY).answer(MESSAGES)
    assert KEY not in str(caught.value)
    assert len(server.seen) == 1


def test_keys_do_not_travel_unprotected() -> None:
    with pytest.raises(ConfigError, match="plain HTTP"):
        ChatModel(ChatSettings("http://models.example/v1", "mini"), key=KEY)
    ChatModel(ChatSettings("http://models.example/v1", "mini"))
    ChatModel(ChatSettings("https://models.example/v1", "mini"), key=KEY)
    with pytest.raises(ConfigError, match="no key has"):
        ChatModel(ChatSettings("https://models.example/v1", "mini"), key="two words")
    with pytest.raises(ConfigError, match=r"`ftp://models.example` is no address"):
        ChatModel(ChatSettings("ftp://models.example", "mini"))


def test_interrupted_work_goes_on_from_the_cache(
    server: ChatServer, cinema: InteractionDataset, tmp_path: Path
) -> None:
    """The server gives up at the third item; the second call asks for what is missing, the third for nothing."""
    prompts = item_prompts(cinema, read_item_metadata(cinema))
    cache = TextCache(tmp_path / "cache")
    model = ChatModel(ChatSettings(server.url, "mini", attempts=1), key=KEY)

    def reply(body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return (400, {}, b"no") if len(server.seen) == 3 else (200, {}, "On " + body["messages"][1]["content"])

    server.reply = reply
    arguments: dict[str, Any] = {"cache": cache, "source": {"model": "mini"}, "parallel": 1}
    with pytest.raises(ServingError, match="HTTP 400"):
        generate_texts(model, prompts, cinema, **arguments)
    assert 3 <= len(server.seen) < 6  # what was on its way then may still have been answered
    steps: list[int] = []
    made = generate_texts(model, prompts, cinema, progress=lambda: steps.append(1), **arguments)
    assert made.texts == [f"On {prompt.template}" for prompt in prompts]
    assert (made.provenance, len(steps), len(server.seen)) == ("train_only", 5, 3 + 3)
    assert generate_texts(model, prompts, cinema, **{**arguments, "parallel": 3}) == made
    assert len(server.seen) == 6
    files = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert len(files) == 5
    assert not any(KEY in file.read_text() for file in files)
    files[0].write_text("{")  # a damaged answer is asked for again
    other = ChatModel(ChatSettings(server.url, "maxi"))
    assert cache.get(other.request(prompts[0].messages)) is None
    assert generate_texts(model, prompts, cinema, **arguments) == made
    assert len(server.seen) == 7


def test_falling_back_to_templates(server: ChatServer, cinema: InteractionDataset, tmp_path: Path) -> None:
    prompts = user_prompts(cinema, read_item_metadata(cinema), last=2)
    assert prompts[0].messages[1]["content"].splitlines() == [
        "- Up (2009). Genres: Comedy.",
        "- Alien (1979). Genres: Horror, Action.",
    ]
    server.reply = lambda body: (400, {}, b"") if "Up" in body["messages"][1]["content"] else (200, {}, "likes things")
    model, cache = ChatModel(ChatSettings(server.url, "mini")), TextCache(tmp_path)
    made = generate_texts(model, prompts, cinema, cache=cache, source={}, fall_back=True)
    assert made.texts[0] == prompts[0].template
    assert set(made.texts[1:]) == {"likes things"}
    assert made.source["templates_instead"] == 1


def test_the_command(
    server: ChatServer,
    cinema: InteractionDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Generate, encode, mean: as a user calls them, with the key in the environment."""

    def call(*arguments: str) -> tuple[int, dict[str, Any], str]:
        code = run_command(main, [arguments[0], "--data", str(cinema.path), *arguments[1:], "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err

    monkeypatch.setenv("MY_KEY", KEY)
    output = str(tmp_path / "users.json")
    asked = ("generate", "--of", "users", "--output", output, "--model", "mini", "--base-url", server.url)
    asked += ("--cache", str(tmp_path / "cache"), "--key-variable", "MY_KEY", "--last", "2")
    code, document, _ = call(*asked, "--dry-run")
    assert (code, document["prompts"], document["in_cache"], server.seen) == (0, 3, 0, [])
    assert not Path(output).exists()
    code, document, error = call(*asked)
    assert (code, document["texts"], document["provenance"]) == (0, 3, "train_only"), error
    assert server.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(document) + Path(output).read_text() + error
    code, document, _ = call("encode", "--of", "users", "--name", "chat", "--texts", output, "--dim", "16")
    assert (code, document["known"], document["dim"], document["provenance"]) == (0, 3, 16, "train_only")
    code, document, _ = call("template", "--of", "items", "--output", str(tmp_path / "i.parquet"))
    assert (code, document["texts"]) == (0, 5)
    words = ("encode", "--of", "items", "--name", "words", "--texts", str(tmp_path / "i.parquet"))
    code, document, _ = call(*words, "--dry-run")
    assert (code, document["given"], document["known"]) == (0, 5, 5)
    assert "words" not in vector_names(Path(cinema.path) / "item_vectors")
    code, *_ = call(*words)
    assert code == 0
    (tmp_path / "strangers.json").write_text('{"100": "a stranger"}')
    checked = {
        ("--of", "items", "--texts", "nowhere.json"): (3, "No such file"),
        ("--of", "items", "--vectors", "nowhere.npz"): (3, "No such file"),
        ("--of", "users", "--mean-of", "word"): (3, "Did you mean `words`"),
        ("--of", "items", "--texts", output): (2, "holds texts of users"),
        ("--of", "items", "--texts", str(tmp_path / "strangers.json")): (3, "Not one id"),
        ("--of", "users", "--texts", output, "--encoder", "hash"): (2, "Did you mean `hashed`"),
    }
    for arguments, (wanted, problem) in checked.items():
        code, _, error = call("encode", "--name", "x", *arguments, "--dry-run")
        assert (code, problem in error) == (wanted, True), error
    code, document, _ = call("encode", "--of", "users", "--name", "mean", "--mean-of", "words", "--skip-last", "1")
    assert (code, document["known"], document["source"]["skip_last"]) == (0, 3, 1)
    assert run_command(main, ["audit", "--data", str(cinema.path), "--of", "users", "--texts", output]) == 0
    assert "Share of 3 texts that name the title of an event" in " ".join(capsys.readouterr().out.split())
    refused = {
        ("encode", "--of", "items", "--name", "x", "--mean-of", "words"): "makes vectors of users",
        ("encode", "--of", "users", "--name", "x", "--texts", output, "--mean-of", "words"): "--texts, --mean-of",
        ("encode", "--of", "users", "--name", "x", "--texts", output, "--last", "3"): "here are no events",
        ("template", "--of", "items"): "needs --output",
        ("generate", "--of", "items", "--output", output): "needs --model",
    }
    for arguments, problem in refused.items():
        code, _, error = call(*arguments)
        assert code == 2
        assert problem in error
