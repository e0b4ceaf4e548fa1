"""Which failures are tried again, how often, and within what time."""

from __future__ import annotations

import socket

import pytest

from tests.serving.client.flaky_servers import Flaky, flaky_server
from tfrec.errors import ConfigError, ServingError
from tfrec.serving.client import RecommenderClient, RetryPolicy, VersionStatus

FAST = RetryPolicy(initial_delay=0.01)
kinds = pytest.mark.parametrize("kind", ["grpc", "rest"])


@kinds
def test_two_failures_are_survived_on_one_connection(kind):
    plan = Flaky(failures=2)
    with flaky_server(kind, plan) as url, RecommenderClient(url, timeout=120, retry=FAST) as client:
        assert client.status() == [VersionStatus(3, "AVAILABLE")]
        assert plan.calls == 3
        client.status()
        assert plan.calls == 4
    assert len(plan.connections) == 1


@kinds
def test_tries_run_out(kind):
    plan = Flaky(failures=99)
    with (
        flaky_server(kind, plan) as url,
        RecommenderClient(url, model="shop", timeout=120, retry=FAST) as client,
        pytest.raises(ServingError, match=r"on purpose\. Given up after 4 tries") as caught,
    ):
        client.status()
    assert (plan.calls, caught.value.code, caught.value.exit_code) == (4, "UNAVAILABLE", 5)
    assert str(caught.value).startswith(f"`{url}`, model `shop`: ")


@kinds
@pytest.mark.parametrize("code", ["INTERNAL", "RESOURCE_EXHAUSTED"])
def test_other_failures_are_final(kind, code):
    plan = Flaky(failures=1, code=code)
    with (
        flaky_server(kind, plan) as url,
        RecommenderClient(url, timeout=120, retry=FAST) as client,
        pytest.raises(ServingError, match="on purpose") as caught,
    ):
        client.status()
    assert (plan.calls, caught.value.code) == (1, code)


@kinds
def test_the_deadline_ends_the_wait_for_an_answer(kind):
    plan = Flaky(holds=True)
    with flaky_server(kind, plan) as url, RecommenderClient(url, timeout=0.3, retry=FAST) as client:
        words = r"The limit is 0\.3 s for all tries together"
        with pytest.raises(ServingError, match=words) as caught:
            client.status()  # while the server still holds its answer back
        plan.release.set()
    assert plan.calls <= 1  # none where even connecting took too long
    assert caught.value.code == "DEADLINE_EXCEEDED"


@kinds
def test_the_deadline_ends_the_tries(kind):
    plan = Flaky(failures=10_000)
    policy = RetryPolicy(attempts=10_000, initial_delay=0.05, multiplier=1, jitter=0)
    with (
        flaky_server(kind, plan) as url,
        RecommenderClient(url, timeout=0.6, retry=policy) as client,
        pytest.raises(ServingError) as caught,
    ):
        client.status()
    assert plan.calls <= 13  # a wait of 0.05 s before each but the first
    assert caught.value.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


@kinds
def test_nobody_listens_at_first(kind):
    plan = Flaky()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scheme = "grpc" if kind == "grpc" else "http"
    with (
        RecommenderClient(f"{scheme}://127.0.0.1:{port}", timeout=120, retry=FAST) as client,
        pytest.raises(ServingError, match=r"Given up after 4 tries\. Is the server running there\?") as caught,
    ):
        client.status()
    assert caught.value.code == "UNAVAILABLE"
    assert plan.calls == 0


def test_delays_grow_and_vary_within_their_share(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)
    policy = RetryPolicy(attempts=9, initial_delay=0.1, multiplier=2, max_delay=0.5, jitter=0.25)
    assert [policy.delay(attempt) for attempt in (1, 2, 3, 4, 5)] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    monkeypatch.setattr("random.random", lambda: 1.0)
    assert [policy.delay(attempt) for attempt in (1, 2, 5)] == pytest.approx([0.075, 0.15, 0.375])


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"initial_delay": -1}, {"jitter": 1.5}])
def test_impossible_policies(wrong):
    with pytest.raises(ConfigError, match="attempts must be 1 or more"):
        RetryPolicy(**wrong)
