"""Publishing to and reading from a real redis-server."""

from __future__ import annotations

import json
import socket
import subprocess
import time

import numpy as np
import pytest
import redis as redis_py

from tests.stores.conftest import source
from tfrec.errors import ConfigError, DataError, TfrecError
from tfrec.stores.redis.embedding_reader import EmbeddingReader
from tfrec.stores.redis.lease import Lease
from tfrec.stores.redis.redis_address import RedisAddress
from tfrec.stores.redis.redis_failures import Patience
from tfrec.stores.store_errors import StoreError, StoreUnreachableError, VectorsMismatchError
from tfrec.stores.vector_header import FORMAT_VERSION

pytestmark = pytest.mark.redis

BIG_IDS = [0, 1, 2**31, 2**31 + 1, 5_000_000_000, 2**63 - 1, -3]
TEXT_IDS = ["", "plain", "with space", "a:b", "ünïcode", "日本", "new\nline", "tfrec:meta:live", "*?[x]\\"]


@pytest.mark.parametrize("ids", [BIG_IDS, TEXT_IDS], ids=["integers", "strings"])
@pytest.mark.parametrize("encoding", ["float32", "float16", "json"])
def test_round_trip(make_store, server, encoding, ids):
    vectors = source(ids, dim=5)
    published = make_store(encoding=encoding).publish([vectors])[0]
    header = published.header
    assert (header.state, header.count, header.dim, header.encoding) == ("complete", len(ids), 5, encoding)
    assert (published.previous, published.written, published.resumed, published.pruned) == (None, len(ids), 0, [])
    expected = vectors.vectors(0, len(ids))
    if encoding == "float16":
        expected = expected.astype(np.float16).astype(np.float32)
    with server.client() as client:
        for identity, vector in zip(ids, expected, strict=True):
            stored = client.get(f"tfrec:items:{header.version}:{identity}")
            if encoding == "json":
                np.testing.assert_array_equal(np.array(json.loads(stored), np.float32), vector)
            else:
                assert stored == vector.astype("<f4" if encoding == "float32" else "<f2").tobytes()
    reader = EmbeddingReader(server.url, "items", batch_size=3)
    batch = reader.get_many([*ids, 77 if ids is BIG_IDS else "77"])
    assert batch.found.tolist() == [True] * len(ids) + [False]
    np.testing.assert_array_equal(batch.vectors, np.concatenate([expected, np.zeros((1, 5))]))
    np.testing.assert_array_equal(reader.get(ids[-1]), expected[-1])
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[2]), kind="stable")
    assert [one.id for one in reader.top_k(ids[2], 4)] == [ids[row] for row in order if row != 2][:4]
    assert reader.top_k(expected[2], 1, metric="cosine")[0].score == pytest.approx(1.0, abs=1e-6)


def test_more_vectors_than_a_chunk_and_than_a_command(make_store, server):
    ids = np.random.default_rng(0).permutation(300_000)[:40_000]
    vectors = source(ids, dim=8)
    published = make_store(keys_per_command=700).publish([vectors])[0]
    assert published.value_bytes == 40_000 * 32
    with server.client() as client:
        # All vectors, three lists of ids, and header, alias, history, set of versions, number of switches.
        assert client.dbsize() == 40_000 + 3 + 5
    reader = EmbeddingReader(server.url, "items", batch_size=512)
    np.testing.assert_array_equal(reader.get_many(ids.tolist()).vectors, vectors.vectors(0, 40_000))
    assert [one.id for one in reader.top_k(vectors.vectors(39_000, 39_001)[0], 1)] == [ids[39_000]]


def test_the_flat_layout_is_read_as_the_published_json(make_store, server):
    vectors = source([12, 34], kind="users")
    store = make_store(template="user:{id}", encoding="json")
    store.publish([vectors])
    with server.client() as client:
        assert np.array_equal(np.array(json.loads(client.get("user:34")), np.float32), vectors.vectors(1, 2)[0])
    newer = source([34, 56], kind="users", seed=1)
    store.publish([newer])
    reader = store.reader("users")
    np.testing.assert_array_equal(reader.get_many([34, 56]).vectors, newer.vectors(0, 2))
    np.testing.assert_array_equal(reader.get(12), vectors.vectors(0, 1)[0])  # nothing removes what is no longer there
    with pytest.raises(StoreError, match="keys without versions"):
        store.rollback(["users"])
    store.publish([source([34], kind="users", seed=2)])
    assert len(store.prune("users", 1)) == 1
    with server.client() as client:
        assert sorted(client.keys("user:*")) == [b"user:12", b"user:34", b"user:56"]


def test_users_and_items_become_live_together_and_go_back_together(make_store):
    store = make_store()
    first = store.publish([source([1, 2]), source(["u"], kind="users")])
    second = store.publish([source([1, 2], seed=1), source(["u"], kind="users", seed=1)])
    assert first[0].header.version == first[1].header.version
    assert [one.previous for one in second] == [one.header.version for one in first]
    names = (second[0].header.version, first[0].header.version)
    assert store.rollback(["items", "users"]) == [names, names]
    assert store.live_versions() == {"users": names[1], "items": names[1]}
    np.testing.assert_array_equal(store.reader("items").get(1), source([1, 2]).vectors(0, 1)[0])
    with pytest.raises(StoreError, match="no version of the items vectors before"):
        store.rollback(["items", "users"])
    # The withdrawn version is not gone back to from the next one.
    third = store.publish([source([1, 2], seed=2)])[0]
    assert (third.previous, third.pruned) == (names[1], [names[0]])
    assert store.rollback(["items"]) == [(third.header.version, names[1])]
    with pytest.raises(StoreError, match="Nothing was changed"):  # users have no earlier version: items stay too
        store.rollback(["items", "users"])


def test_kinds_that_were_published_apart_do_not_go_back_together(make_store):
    """Users and items of m1, of m2, then items of m3: a way back for both would lead to items of m2, users of m1."""
    store = make_store(keep=5)
    for seed, kinds in enumerate((("items", "users"), ("users", "items"), ("items",)), start=1):
        store.publish([source([1], kind=kind, seed=seed, model_version=f"m{seed}") for kind in kinds])
    assert store.newest_kinds() == ["items"]
    with pytest.raises(StoreError, match=r"items vectors was published after .*Roll back the items alone first"):
        store.rollback(["users", "items"])

    def models():
        return [store.read_header(kind).model_version for kind in ("users", "items")]

    assert models() == ["m2", "m3"]
    store.rollback(store.newest_kinds())
    assert (models(), sorted(store.newest_kinds())) == (["m2", "m2"], ["items", "users"])
    store.rollback(["items", "users"])
    assert models() == ["m1", "m1"]


def test_one_kind_that_cannot_go_back_stops_both(make_store):
    store = make_store()
    store.publish([source([1])])
    items = store.publish([source([1], seed=1)])[0]
    store.publish([source(["u"], kind="users")])
    with pytest.raises(StoreError, match="users"):
        store.rollback(["items", "users"])
    assert store.live_versions()["items"] == items.header.version


def test_pruning_touches_only_keys_of_the_pruned_versions(make_store, server):
    store, other = make_store(keep=5), make_store(prefix="tfrec:items")
    other.publish([source([1, 2, 3])])
    versions = [store.publish([source([1, 2, 3], seed=seed)])[0].header.version for seed in range(4)]
    foreign = [f"tfrec:items:{versions[0]}", f"tfrec:items:{versions[0]}x:1", "tfrec:items:1", "tfrec:meta:items", "z"]
    with server.client() as client:
        for key in foreign:
            client.set(key, key)
        before = set(client.keys())
        assert store.prune("items", 2, dry_run=True) == versions[:2]
        assert set(client.keys()) == before
        assert store.prune("items", 2) == versions[:2]
        gone = {key.decode() for key in before - set(client.keys())}
    assert gone == {
        name
        for version in versions[:2]
        for name in (
            *(f"tfrec:items:{version}:{identity}" for identity in (1, 2, 3)),
            f"tfrec:meta:items:header:{version}",
            f"tfrec:meta:items:ids:{version}:0",
        )
    }
    assert store.prune("items", 2) == []
    assert store.rollback(["items"]) == [(versions[3], versions[2])]
    assert store.reader("items").get_many([1, 2, 3]).found.all()
    assert other.reader("items").get_many([1, 2, 3]).found.all()


def test_signs_of_patterns_in_a_prefix_stand_for_themselves(make_store, server):
    store = make_store(prefix="a*[b]?", keep=1)
    with server.client() as client:
        client.set("ax[b]y:items:1:2", "foreign")
        old = store.publish([source([1, 2])])[0].header.version
        client.set(f"axxb:items:{old}:1", "foreign")
        assert store.publish([source([1, 2], seed=1)])[0].pruned == [old]
        assert client.keys(f"a[*]*{old}:*") == []
        assert client.exists("ax[b]y:items:1:2", f"axxb:items:{old}:1") == 2


def test_a_version_expires_at_one_moment(make_store, server):
    before = time.time()
    store = make_store(ttl_seconds=600)
    header = store.publish([source([1, 22, 333])])[0].header
    assert before + 600 <= header.expires_at / 1000 + 0.001 <= time.time() + 600.001
    reader = store.reader("items")
    assert reader.get(22) is not None
    with server.client() as client:
        keys = [f"tfrec:items:{header.version}:{identity}" for identity in (1, 22, 333)]
        keys += [f"tfrec:meta:items:header:{header.version}", f"tfrec:meta:items:ids:{header.version}:0"]
        assert {client.execute_command("PEXPIRETIME", key) for key in keys} == {header.expires_at}
        for key in keys:
            client.pexpireat(key, 1)  # the moment has come
    assert reader.get(22) is None
    with pytest.raises(VectorsMismatchError, match="expired"):
        store.reader("items")
    again = make_store().publish([source([1, 22, 333])])[0]
    assert (again.written, again.header.expires_at) == (3, 0)


def test_a_publication_that_outlasts_its_own_lifetime_says_so(make_store):
    def slowly(stage, *_):
        if stage == "write":
            time.sleep(1.2)

    with pytest.raises(StoreError, match=r"longer than the 1 s that its keys are to live. Raise --ttl"):
        make_store(ttl_seconds=1).publish([source([1, 2])], slowly)


def test_readers_refuse_other_vectors(make_store, server):
    store = make_store()
    with pytest.raises(VectorsMismatchError, match="No items vectors are published below the prefix `tfrec`"):
        store.reader("items")
    store.publish([source([1, 2], model="sasrec", model_version="c1", schema_hash="h")])
    assert store.reader("items", dim=4, model="sasrec", model_version="c1", schema_hash="h").get(1) is not None
    for expected in ({"dim": 5}, {"model": "gru4rec"}, {"model_version": "c2"}, {"schema_hash": "other"}):
        with pytest.raises(VectorsMismatchError, match=f"`{next(iter(expected))}`.*expected `"):
            store.reader("items", **expected)
    strict = store.reader("items", dim=4)
    store.publish([source([1, 2], dim=6)])
    with pytest.raises(VectorsMismatchError, match="`dim` = `6`, expected `4`"):
        strict.get(1)
    reader = store.reader("items")
    for wrong in ("x", "1", 1.0, True, None, 2**63):
        for read in (reader.get, reader.top_k):
            with pytest.raises(ConfigError, match="int64 integers, received"):
                read(wrong)
    assert reader.get(np.int32(1)) is not None
    with pytest.raises(ConfigError, match="no vector of `9`"):
        reader.top_k(9)
    with server.client() as client:
        client.set(f"tfrec:items:{reader.version}:1", b"damaged")
        with pytest.raises(VectorsMismatchError, match="has 7 bytes; float32 vectors of 6 components have 24"):
            reader.get(1)
        key = f"tfrec:meta:items:header:{reader.version}"
        client.hset(key, "format", FORMAT_VERSION + 1)
        with pytest.raises(VectorsMismatchError, match="format version"):
            store.reader("items")
        client.delete(key)
        with pytest.raises(VectorsMismatchError, match="header is missing"):
            store.reader("items")
        with (
            redis_py.Redis(port=server.port, decode_responses=True) as text,
            pytest.raises(ConfigError, match="decodes"),
        ):
            EmbeddingReader(text, "items")


def test_stale_versions_are_noticed(make_store):
    store = make_store(keep=1)
    store.publish([source([1, 2])])
    reader = store.reader("items")
    old = reader.version
    reader.top_k(1)
    assert not reader.is_stale()
    new = store.publish([source([1, 3], seed=1)])[0]  # the old version is pruned at once
    assert reader.is_stale()
    assert reader.version == old
    batch = reader.get_many([1, 2, 3])
    assert (batch.version, batch.found.tolist()) == (new.header.version, [True, False, True])
    assert [one.id for one in reader.top_k(1)] == [3]


def test_what_would_overwrite_something_is_refused(make_store, server):
    with pytest.raises(ConfigError, match="the same keys"):
        make_store(template="v:{id}").publish([source([1]), source(["u"], kind="users")])
    with pytest.raises(ConfigError, match="no items vectors to publish"):
        make_store().publish([source(np.zeros(0, np.int64), np.zeros((0, 4)))])
    with pytest.raises(DataError, match="store's own records"):
        make_store(template="{id}").publish([source(["a", "tfrec:meta:items:live"])])
    with pytest.raises(DataError, match=r"items vectors 1 to 2.*not finite"):
        make_store().publish([source([1, 2], [[1.0, 2.0], [np.nan, 0.0]])])
    with server.client() as client:
        assert client.get("tfrec:meta:items:live") is None
        assert client.get("tfrec:meta:lease") is None


def test_only_one_publication_at_a_time(make_store, server):
    store = make_store()
    with server.client() as client, Lease("tfrec:meta:lease").held(client):
        with pytest.raises(StoreError, match="Another publication is writing to `tfrec`: process"):
            store.publish([source([1])])
        with pytest.raises(StoreError, match="Another publication"):
            store.prune("items", 1)
        make_store(prefix="other").publish([source([1])])
    store.publish([source([1])])


def test_a_full_server_says_so_and_keeps_the_live_version(start_redis, make_store):
    small = start_redis("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    store = make_store(url=small.url)
    live = store.publish([source(range(100))])[0].header.version
    big = source(range(40_000), dim=32)
    with pytest.raises(StoreError, match="out of memory") as caught:
        store.publish([big])
    assert caught.value.exit_code == 5
    assert store.live_versions() == {"items": live}
    assert store.reader("items").get_many(range(100)).found.all()
    with small.client() as client:
        client.config_set("maxmemory", 0)
    published = store.publish([big])[0]
    assert published.previous == live
    np.testing.assert_array_equal(store.reader("items").get(39_999), big.vectors(39_999, 40_000)[0])


def test_evictions_are_noticed(start_redis, make_store):
    evicting = start_redis("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random")
    store = make_store(url=evicting.url)
    with pytest.raises(StoreError, match=r"missing or changed.*allkeys-random"):
        store.publish([source(range(40_000), dim=32)])


def test_a_replica_is_refused(start_redis, make_store):
    replica = start_redis("--replicaof", "127.0.0.1", "1")  # of a primary that does not answer
    with pytest.raises(StoreError, match="read-only"):
        make_store(url=replica.url).publish([source([1])])


def test_an_absent_server_is_an_error_of_its_own(make_store, server):
    server.kill()
    with pytest.raises(StoreUnreachableError, match=r"127\.0\.0\.1:\d+/0 does not answer") as caught:
        make_store(retry_seconds=0.0).publish([source([1])])
    assert caught.value.exit_code == 5


def test_waits_grow_and_end():
    waits: list[float] = []
    broken = redis_py.exceptions.ConnectionError("no")
    patience = Patience(RedisAddress("redis://h"), first_seconds=0.0, seconds=1e9, sleep=waits.append)
    with pytest.raises(StoreUnreachableError):
        patience.wait(broken)  # a server that never answered is not waited for longer than `first_seconds`
    patience.progress()
    for _ in range(8):
        patience.wait(redis_py.exceptions.BusyLoadingError("loading"))
    np.testing.assert_allclose(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    patience.progress()
    patience.wait(broken)
    assert waits[-1] == pytest.approx(0.1)
    with pytest.raises(StoreError, match="password"):
        patience.wait(redis_py.exceptions.AuthenticationError("no"))


def test_passwords(start_redis, make_store, capfd):
    guarded = start_redis("--requirepass", "s3cret pass")
    right = f"redis://:s3cret%20pass@127.0.0.1:{guarded.port}/0"
    store = make_store(url=right)
    store.publish([source([1])])
    assert store.reader("items").get(1) is not None
    for wrong in (f"redis://:wr0ng%2Fone@127.0.0.1:{guarded.port}/0", guarded.url):
        with pytest.raises(StoreError, match="does not accept the user or password") as caught:
            make_store(url=wrong).publish([source([1])])
        assert "wr0ng" not in str(caught.value)
        with pytest.raises(StoreError, match="does not accept"):
            EmbeddingReader(wrong, "items")
    assert "s3cret" not in repr(store.address) + store.address.shown
    captured = capfd.readouterr()
    assert "s3cret" not in captured.out + captured.err


def test_tls(start_redis, make_store, short_tmp):
    certificate, key = short_tmp / "cert.pem", short_tmp / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += [
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate here: {error}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no")
    try:
        start_redis("--tls-port", str(port), *options)
    except TfrecError as error:
        pytest.skip(f"redis-server without TLS: {error}")
    url = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
    store = make_store(url=url)
    vectors = source(range(20_000), dim=16)
    store.publish([vectors])
    np.testing.assert_array_equal(store.reader("items").get(19_999), vectors.vectors(19_999, 20_000)[0])
    with pytest.raises(StoreUnreachableError, match=r"(?i)certificate"):
        make_store(url=f"rediss://localhost:{port}/0", retry_seconds=0.0).publish([source([1])])
