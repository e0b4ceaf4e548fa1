"""URLs of Redis, key templates and packed commands; nothing here needs a server."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from tfrec.errors import ConfigError
from tfrec.stores.redis.command_packing import CommandPacker, RawIds
from tfrec.stores.redis.key_template import KeyTemplate
from tfrec.stores.redis.redis_address import RedisAddress
from tfrec.stores.vector_encoding import encode_vectors


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("rediss://ann:s3cr%2Ft@h", "rediss://ann:***@h"),
        ("redis://:s3cr%2Ft@[::1]:6379/0?socket_timeout=3", "redis://:***@[::1]:6379/0"),
        ("unix:///run/r.sock?db=1&password=s3cr/t", "unix:///run/r.sock"),
        ("redis://s3cret@h/0", "redis://***@h/0"),
        ("rediss://h/?ssl_password=s3cr/t", "rediss://h/"),
    ],
)
def test_addresses_never_show_the_password(url, shown):
    address = RedisAddress(url)
    assert address.shown == shown
    assert repr(address) == f"RedisAddress({shown})"
    assert "s3cr" not in address.mask(f"cannot reach {url}")
    if "s3cr" in url and "s3cret@" not in url:
        assert "s3cr" not in address.mask("password s3cr/t")
    assert pickle.loads(pickle.dumps(address)).client().connection_pool is not None


@pytest.mark.parametrize(
    "url",
    [
        *("redis://:pa/s3cret@h:1", "http://s3cret", "unix://", "redis://h?db=s3cret:x@/"),
        # A password whose first signs are digits, as it is: they look like a port.
        *("redis://ann:7/s3cret@127.0.0.1:1/0", "redis://:12#s3cret@h:6379/0", "redis://:12?s3cret@h:6379"),
        *("redis://h:6379/s3cret", "rediss://h:6379/0/s3cret", "unix://:12/s3cret@/run/r.sock"),
    ],
)
def test_wrong_urls_are_refused_without_repeating_them(url):
    with pytest.raises(ConfigError) as caught:
        RedisAddress(url).client()
    assert "s3cret" not in str(caught.value)


def test_the_environment_names_the_server(monkeypatch):
    monkeypatch.setenv("TFREC_REDIS_URL", "redis://:pw@there:7/1")
    assert RedisAddress().shown == "redis://:***@there:7/1"
    assert RedisAddress("redis://here").shown == "redis://here"
    monkeypatch.delenv("TFREC_REDIS_URL")
    with pytest.raises(ConfigError, match="No Redis server is named"):
        RedisAddress()


def test_key_templates():
    assert KeyTemplate().parts("users", "v1") == ("tfrec:users:v1:", "")
    assert KeyTemplate().store_prefix == "tfrec"
    assert (KeyTemplate("user:{id}").store_prefix, KeyTemplate("user:{id}", "p").store_prefix) == ("tfrec-plain", "p")
    with pytest.raises(ConfigError, match="prefix"):
        KeyTemplate(prefix="")
    flat = KeyTemplate("user:{id}", "p")
    assert (flat.versioned, flat.has_kind, flat.parts("users", "v1")) == (False, False, ("user:", ""))
    braces = KeyTemplate("{{{kind}}}/{version}/{id}.vec")
    assert (braces.versioned, braces.parts("items", "v")) == (True, ("{items}/v/", ".vec"))
    literal = KeyTemplate("user:{{version}}:{{kind}}:{id}")  # versions would have the same keys, users and items too
    assert (literal.versioned, literal.has_kind, literal.store_prefix) == (False, False, "tfrec-plain")
    assert literal.parts("users", "v") == ("user:{version}:{kind}:", "")
    assert KeyTemplate("{version}{{a}}{id}").parts("users", "v") == ("v{a}", "")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("user:1", "needs `{id}`"),
        ("{id}:{id}", "needs `{id}`"),
        ("{user}:{id}", "unknown field `{user}`"),
        ("{id!r}", "unknown field"),
        ("{id", "is wrong"),
        ("{version}{id}", "must follow"),
        ("{version}x{id}", "must follow"),
        ("{version}:{{id}}{kind}", "needs `{id}`"),
        ("{id}:{version}:{{id}}", "must follow"),
        ("{id}:{version}", "must follow"),
    ],
)
def test_wrong_templates(template, words):
    with pytest.raises(ConfigError, match=words):
        KeyTemplate(template)


def parse(packed: bytes) -> list[list[bytes]]:
    """Reads commands of the Redis protocol, byte by byte as its specification says."""
    commands, at = [], 0

    def number(sign: bytes) -> int:
        nonlocal at
        assert packed[at : at + 1] == sign
        end = packed.index(b"\r\n", at)
        value = int(packed[at + 1 : end])
        at = end + 2
        return value

    while at < len(packed):
        arguments = []
        for _ in range(number(b"*")):
            size = number(b"$")
            arguments.append(packed[at : at + size])
            assert packed[at + size : at + size + 2] == b"\r\n"
            at += size + 2
        commands.append(arguments)
    return commands


@pytest.mark.parametrize("encoding", ["float32", "float16", "json"])
@pytest.mark.parametrize(
    "ids",
    [
        pa.array([0, -7, 5_000_000_000, 12, 2**63 - 1, -(2**63), 9, 10]),
        pa.array(["skipped", "", "a b", "ä:é", "日本", "x\r\n$3", "*", "a", "long" * 70]).slice(1),
    ],
)
def test_packed_commands_are_the_protocol(ids, encoding):
    vectors = np.random.default_rng(0).standard_normal((len(ids), 5)).astype(np.float32)
    values = encode_vectors(vectors, encoding)
    stored = [value if isinstance(value, bytes) else value.tobytes() for value in values]
    keys = [f"p:{identity}:é".encode() for identity in ids.to_pylist()]
    expected = dict(zip(keys, stored, strict=True))
    packer = CommandPacker("p:", ":é", keys_per_command=3)
    raw = RawIds(ids)
    assert [raw[row].decode() for row in range(len(raw))] == [str(identity) for identity in ids.to_pylist()]

    packed = list(packer.mset(raw, values))
    commands = [parse(np.asarray(part).tobytes()) for part, _ in packed]
    assert [(len(found), replies) for found, (_, replies) in zip(commands, packed, strict=True)] == [(1, 1)] * 3
    assert [found[0][0] for found in commands] == [b"MSET"] * 3
    arguments = [argument for found in commands for argument in found[0][1:]]
    assert dict(zip(arguments[::2], arguments[1::2], strict=True)) == expected
    assert len(arguments) == 2 * len(ids)

    sets = [
        command for part, _ in packer.set_until(raw, values, 1_900_000_000_123) for command in parse(part.tobytes())
    ]
    assert {command[1]: command[2] for command in sets} == expected
    assert {(command[0], *command[3:]) for command in sets} == {(b"SET", b"PXAT", b"1900000000123")}

    exists = [(parse(part.tobytes())[0], count) for part, count in packer.exists(raw)]
    assert [(command[0], len(command) - 1) for command, _ in exists] == [(b"EXISTS", count) for _, count in exists]
    assert sorted(key for command, _ in exists for key in command[1:]) == sorted(keys)
