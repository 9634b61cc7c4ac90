# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

"""The endpoints against a model server made of httpx's mock transport: no network, no GPU."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import httpx
import pytest
import redis.asyncio as redis
from fastapi.testclient import TestClient

from main import JSONFormatter, ModelServer, Services, Settings, create_app

Handler = Callable[[httpx.Request], httpx.Response]

COMPLETION = {
    "model": "support-llm",
    "choices": [{"message": {"role": "assistant", "content": "Within 14 days."}}],
    "usage": {"prompt_tokens": 31, "completion_tokens": 5},
}


class StubFeatures:
    def __init__(self, known: dict[str, str] | None = None, error: Exception | None = None) -> None:
        self.known = known or {}
        self.error = error
        self.asked: list[str] = []

    async def features(self, customer_id: str) -> dict[str, str]:
        self.asked.append(customer_id)
        if self.error is not None:
            raise self.error
        return self.known


def client(handler: Handler, features: StubFeatures | None = None) -> TestClient:
    http = httpx.AsyncClient(base_url="http://model-server", transport=httpx.MockTransport(handler))
    return TestClient(create_app(Services(ModelServer(http, "support-llm"), features or StubFeatures())))


def answers(body: object) -> Handler:
    return lambda _: httpx.Response(200, json=body)


def streams(text: str) -> Handler:
    return lambda _: httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def refuse_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def time_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow", request=request)


def test_answers_with_the_model_and_its_usage() -> None:
    got = client(answers(COMPLETION)).post("/v1/chat", json={"message": "How long do refunds take?"})
    assert got.status_code == 200
    assert got.json() == {
        "answer": "Within 14 days.",
        "model": "support-llm",
        "prompt_tokens": 31,
        "completion_tokens": 5,
    }


def test_puts_what_is_known_about_the_customer_into_the_prompt() -> None:
    seen: list[dict[str, object]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json=COMPLETION)

    features = StubFeatures({"plan": "pro", "open_orders": "2"})
    client(handler, features).post("/v1/chat", json={"message": "Hi", "customer_id": "c-7", "max_tokens": 64})

    assert features.asked == ["c-7"]
    assert seen[0]["max_tokens"] == 64
    system, user = seen[0]["messages"]  # type: ignore[misc]
    assert system["content"].endswith("- open_orders: 2\n- plan: pro")
    assert user == {"role": "user", "content": "Hi"}


def test_answers_without_context_when_the_feature_store_is_down() -> None:
    features = StubFeatures(error=redis.ConnectionError("down"))
    got = client(answers(COMPLETION), features).post("/v1/chat", json={"message": "Hi", "customer_id": "c-7"})
    assert got.status_code == 200


def test_streams_tokens_and_says_when_it_is_done() -> None:
    upstream = (
        'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
        'data: {"choices": [{"delta": {"content": "14"}}]}\n\n'
        ": keep-alive\n\n"
        'data: {"choices": [{"delta": {"content": " days"}}]}\n\n'
        "data: [DONE]\n\n"
    )
    got = client(streams(upstream)).post("/v1/chat", json={"message": "Hi", "stream": True})
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.text == 'data: {"token": "14"}\n\ndata: {"token": " days"}\n\nevent: done\ndata: {}\n\n'


@pytest.mark.parametrize(
    "upstream",
    ["", "data: {cut", "data: [1]\n\n"],
    ids=["ends without its end mark", "broken JSON", "not an event"],
)
def test_says_when_a_stream_was_cut_off(upstream: str) -> None:
    first = 'data: {"choices": [{"delta": {"content": "14"}}]}\n\n'
    got = client(streams(first + upstream)).post("/v1/chat", json={"message": "Hi", "stream": True})
    assert got.text.startswith('data: {"token": "14"}\n\n')
    assert "event: error" in got.text
    assert "event: done" not in got.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("handler", "want"),
    [
        (refuse_connection, 503),
        (time_out, 504),
        (lambda _: httpx.Response(500, text="CUDA out of memory at 0x7f"), 502),
        (lambda _: httpx.Response(400, json={"message": "context length"}), 502),
    ],
    ids=["unreachable", "slow", "fails", "refuses"],
)
def test_reports_a_failing_model_server_without_its_texts(handler: Handler, want: int, stream: bool) -> None:
    got = client(handler).post("/v1/chat", json={"message": "Hi", "stream": stream})
    assert got.status_code == want
    assert "CUDA" not in got.text
    assert "context length" not in got.text


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{}], "model": "m"}, ["odd"]])
def test_an_unusable_completion_is_a_bad_gateway(body: object) -> None:
    assert client(answers(body)).post("/v1/chat", json={"message": "Hi"}).status_code == 502


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": "x" * 8_001},
        {"message": "Hi", "max_tokens": 0},
        {"message": "Hi", "customer_id": ""},
    ],
)
def test_refuses_requests_out_of_bounds(body: dict[str, object]) -> None:
    assert client(answers(COMPLETION)).post("/v1/chat", json=body).status_code == 422


def test_liveness_ignores_the_model_and_readiness_does_not() -> None:
    down = client(refuse_connection)
    assert down.get("/healthz").status_code == 200
    assert down.get("/readyz").status_code == 503
    assert client(lambda _: httpx.Response(200)).get("/readyz").status_code == 200


def test_settings_name_every_missing_variable() -> None:
    with pytest.raises(ValueError, match="MODEL_NAME, FEATURE_STORE_URL"):
        Settings.from_env({"MODEL_URL": "http://model-server"})
    env = {"MODEL_URL": "http://m", "MODEL_NAME": "n", "FEATURE_STORE_URL": "redis://f", "REQUEST_TIMEOUT_SECONDS": "5"}
    assert Settings.from_env(env) == Settings("http://m", "n", "redis://f", request_timeout=5.0)


def test_log_lines_are_json_with_their_extras() -> None:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "answered", "completion_tokens": 5})
    got = json.loads(JSONFormatter().format(record))
    assert (got["level"], got["msg"], got["completion_tokens"]) == ("info", "answered", 5)
