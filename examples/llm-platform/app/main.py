# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

"""Support assistant: answers a customer's question with a language model.

The service holds no state and no weights. It looks up what is known about the
customer in the feature store, asks the model server (any server that speaks the
OpenAI chat API, vLLM here) and returns the answer whole or token by token.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

log = logging.getLogger("chat")

SYSTEM_PROMPT = "You answer questions of our customers. Be brief. Say so when you do not know."


@dataclass(frozen=True)
class Settings:
    """What differs between environments; see infra/base/chat/config.env."""

    model_url: str
    model_name: str
    feature_store_url: str
    request_timeout: float = 60.0
    log_level: str = "INFO"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; a missing variable stops the start and is named."""
        required = ("MODEL_URL", "MODEL_NAME", "FEATURE_STORE_URL")
        missing = [name for name in required if not env.get(name)]
        if missing:
            raise ValueError(f"environment variables not set: {', '.join(missing)}")
        return cls(
            model_url=env["MODEL_URL"],
            model_name=env["MODEL_NAME"],
            feature_store_url=env["FEATURE_STORE_URL"],
            request_timeout=float(env.get("REQUEST_TIMEOUT_SECONDS", cls.request_timeout)),
            log_level=env.get("LOG_LEVEL", cls.log_level).upper(),
        )


class ChatRequest(BaseModel):
    """One question. The bounds keep a single caller from filling the model's context."""

    message: str = Field(..., min_length=1, max_length=8_000)
    customer_id: str | None = Field(None, min_length=1, max_length=64)
    max_tokens: int = Field(512, ge=1, le=2_048)
    stream: bool = False


class ChatResponse(BaseModel):
    answer: str
    model: str
    prompt_tokens: int
    completion_tokens: int


class FeatureStore(Protocol):
    """The one read that this service makes of the online feature store."""

    async def features(self, customer_id: str) -> dict[str, str]: ...


class RedisFeatureStore:
    """Features as the pipelines write them: one hash per customer."""

    def __init__(self, url: str) -> None:
        # A slow store must not hold up an answer that does not depend on it.
        self._client = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=0.25, socket_connect_timeout=0.25
        )

    async def features(self, customer_id: str) -> dict[str, str]:
        return await self._client.hgetall(f"customer:{customer_id}")

    async def close(self) -> None:
        await self._client.aclose()


class ModelServer:
    """Client of the model server. Its errors become HTTP errors of ours, without its texts."""

    def __init__(self, http: httpx.AsyncClient, model: str) -> None:
        self._http = http
        self._model = model

    async def ready(self) -> bool:
        try:
            return (await self._http.get("/health", timeout=2.0)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def open(self, messages: list[dict[str, str]], max_tokens: int, stream: bool) -> httpx.Response:
        """Send the request and return the response, unread, once its status is known to be good."""
        body = {"model": self._model, "messages": messages, "max_tokens": max_tokens, "stream": stream}
        request = self._http.build_request("POST", "/v1/chat/completions", json=body)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TimeoutException as err:
            raise HTTPException(status.HTTP_504_GATEWAY_TIMEOUT, "the model took too long") from err
        except httpx.HTTPError as err:
            log.error("model server unreachable", extra={"error": type(err).__name__})
            raise HTTPException(
                status.HTTP_503_SERVICE_UNAVAILABLE, "the model is not reachable", headers={"Retry-After": "5"}
            ) from err
        if response.status_code != httpx.codes.OK:
            await response.aclose()
            log.error("model server refused", extra={"upstream_status": response.status_code})
            raise HTTPException(status.HTTP_502_BAD_GATEWAY, "the model server refused the request")
        return response


@dataclass(frozen=True)
class Services:
    """What the endpoints work with; tests pass their own."""

    model: ModelServer
    features: FeatureStore


class JSONFormatter(logging.Formatter):
    """One JSON object per line, with whatever was passed as `extra`."""

    _standard = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        entry.update({k: v for k, v in vars(record).items() if k not in self._standard})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


async def build_messages(features: FeatureStore, request: ChatRequest) -> list[dict[str, str]]:
    """The prompt: our instructions, what is known about the customer, the question.

    A feature store that is down costs the answer its context and nothing else.
    """
    system = SYSTEM_PROMPT
    if request.customer_id is not None:
        try:
            known = await features.features(request.customer_id)
        except (redis.RedisError, OSError) as err:
            log.warning("feature store unavailable", extra={"error": type(err).__name__})
            known = {}
        if known:
            facts = "\n".join(f"- {name}: {value}" for name, value in sorted(known.items()))
            system = f"{system}\nKnown about this customer:\n{facts}"
    return [{"role": "system", "content": system}, {"role": "user", "content": request.message}]


def parse_completion(body: Any) -> ChatResponse:
    """Read a chat completion. Raises ValueError for a body that is none."""
    try:
        usage = body.get("usage") or {}
        return ChatResponse(
            answer=body["choices"][0]["message"]["content"],
            model=body["model"],
            prompt_tokens=usage.get("prompt_tokens", 0),
            completion_tokens=usage.get("completion_tokens", 0),
        )
    except (AttributeError, IndexError, KeyError, TypeError) as err:
        raise ValueError("not a chat completion") from err


def parse_token(data: str) -> str | None:
    """Read one event of a streamed completion; many carry no text. Raises ValueError for one that is none."""
    try:
        choices = json.loads(data).get("choices")
        return choices[0]["delta"].get("content") if choices else None
    except (AttributeError, IndexError, KeyError, TypeError) as err:
        raise ValueError("not a chat completion event") from err


async def stream_tokens(response: httpx.Response) -> AsyncIterator[str]:
    """Turn the server's event stream into ours: one event per token, then `done` or `error`.

    When the caller goes away this generator is closed, and closing the response makes
    the model server stop generating: nobody waits for those tokens, and they cost GPU time.
    """
    try:
        async for line in response.aiter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or not data:
                continue
            if data == "[DONE]":
                yield "event: done\ndata: {}\n\n"
                return
            if token := parse_token(data):
                yield f"data: {json.dumps({'token': token})}\n\n"
        # The stream ended without its end mark: the answer is cut off, and the caller must know.
        yield 'event: error\ndata: {"detail": "the answer was cut off"}\n\n'
    except (httpx.HTTPError, ValueError) as err:
        log.error("stream broke off", extra={"error": type(err).__name__})
        yield 'event: error\ndata: {"detail": "the answer was cut off"}\n\n'
    finally:
        await response.aclose()


def create_app(services: Services | None = None) -> FastAPI:
    """Build the application; without services they are made from the environment."""
    closers = []
    if services is None:
        settings = Settings.from_env()
        configure_logging(settings.log_level)
        http = httpx.AsyncClient(
            base_url=settings.model_url, timeout=httpx.Timeout(settings.request_timeout, connect=2.0)
        )
        store = RedisFeatureStore(settings.feature_store_url)
        services = Services(model=ModelServer(http, settings.model_name), features=store)
        closers = [http.aclose, store.close]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for close in closers:
            await close()

    app = FastAPI(title="Support assistant", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_routes(app, services)
    return app


def add_routes(app: FastAPI, services: Services) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Liveness: the process answers. Looks at nothing else, so that a model that is down restarts nobody."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, str]:
        """Readiness: a request sent here now can be answered."""
        if not await services.model.ready():
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
            return {"status": "model server not ready"}
        return {"status": "ok"}

    @app.post("/v1/chat", response_model=ChatResponse)
    async def chat(request: ChatRequest) -> Any:
        messages = await build_messages(services.features, request)
        upstream = await services.model.open(messages, request.max_tokens, request.stream)
        if request.stream:
            return StreamingResponse(
                stream_tokens(upstream), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        try:
            await upstream.aread()
            answer = parse_completion(upstream.json())
        except (httpx.HTTPError, ValueError) as err:
            log.error("unusable completion", extra={"error": type(err).__name__})
            raise HTTPException(status.HTTP_502_BAD_GATEWAY, "the model server sent no usable answer") from err
        finally:
            await upstream.aclose()
        log.info("answered", extra={"completion_tokens": answer.completion_tokens, "model": answer.model})
        return answer


def configure_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per outgoing request is noise here; what matters about it is logged above.
    logging.getLogger("httpx").setLevel(logging.WARNING)
