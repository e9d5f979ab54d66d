"""The host's predictions endpoints as finished bytes from C: same fields, same order, same text, no models between."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, Callable, Optional

from kato_fast.hosts.answers import Answer, Futures, add_names
from kato_fast.hosts.seams import Place
from kato_fast.hosts.shared import FUTURES, PREDICTIONS, is_off
from kato_fast.rollout import Choice, Declined


def primary(module: Any) -> Iterator[Place]:
    return routes(module, "get_predictions_primary")


def in_session(module: Any) -> Iterator[Place]:
    return routes(module, "get_session_predictions")


def in_session_by_router(module: Any) -> Iterator[Place]:
    """In KATO 2.1 the application has copies of its routers' routes."""
    return routes(module, "get_session_predictions", sys.modules["kato.api.endpoints.sessions"])


def routes(module: Any, name: str, endpoints: Any = None) -> Iterator[Place]:
    """The routes' ASGI applications: the endpoint itself was captured by its decorator. AttributeError without any."""
    endpoint = vars(endpoints or module)[name]
    found = [route for route in _all(module.app.router.routes) if getattr(route, "endpoint", None) is endpoint]
    if not found:
        raise AttributeError(f"no route to {name}")
    for route in found:
        yield Place(route, "app", route.app, endpoint, Routed(route.app, module, name))


def _all(routes: Iterable) -> Iterator[Any]:
    """Newer versions of FastAPI copy no routes of a router but keep, for each, what of it holds there."""
    for route in routes:
        inner = getattr(route, "effective_route_contexts", None)
        yield from (route,) if inner is None else inner()


class Routed:
    """A route's application with what its replacement needs to know; calling it is the host's."""

    def __init__(self, app: Any, module: Any, name: str) -> None:
        self.app, self.module, self.name = app, module, name


def replace_app(routed: Routed) -> Callable:
    module = routed.module
    respond = _primary if routed.name == "get_predictions_primary" else _in_session

    async def by_host(scope: dict, receive: Any, send: Any) -> None:
        await routed.app(scope, receive, send)

    async def by_bytes(scope: dict, receive: Any, send: Any) -> Any:
        return await respond(module, scope, receive)

    choice = Choice("native_responses", routed.name, by_host, by_bytes, key=key_of_request)

    async def answer(scope: dict, receive: Any, send: Any) -> None:
        response = await choice(scope, receive, send)
        if response is not None:
            await response(scope, receive, send)

    def app(scope: dict, receive: Any, send: Any) -> Awaitable[None]:
        return (routed.app if is_off("native_responses") else answer)(scope, receive, send)

    return app


def key_of_request(scope: dict, *args: Any) -> Optional[str]:
    """Who asks: the user that a header names, else the session, else the address."""
    for name, value in scope.get("headers", ()):
        if name in (b"x-user-id", b"x-test-id"):
            return value.decode("latin-1")
    return scope.get("path_params", {}).get("session_id") or (scope.get("client") or ("",))[0]


async def _primary(module: Any, scope: dict, receive: Any) -> Any:
    from starlette.requests import Request

    request = Request(scope, receive)
    if "unique_id" in request.query_params:
        raise Declined("unsupported", "predictions of one unique_id")
    state = module.app_state
    session = await state.session_manager.get_or_create_session(
        user_id=module.get_user_id_from_request(request),
        metadata={"type": "auto_created", "endpoint": request.url.path},
    )
    processor = await state.processor_manager.get_processor(session.user_id, session.session_config)
    if hasattr(processor.pattern_processor, "superkb"):
        processor.pattern_processor.superkb.stm = session.stm
    return _response(processor, named=True, processor_id=processor.id, time=int(time.time()))


async def _in_session(module: Any, scope: dict, receive: Any) -> Any:
    state, session_id = module.app_state, scope["path_params"]["session_id"]
    session = await state.session_manager.get_session(session_id)
    if not session:
        raise Declined("no_session")
    owner = session.node_id if hasattr(session, "node_id") else session.user_id
    processor = await state.processor_manager.get_processor(owner, session.session_config)
    lock = await state.session_manager.get_session_lock(session_id)
    if lock is None:
        raise Declined("no_session")
    async with lock:
        processor.set_stm(session.stm)
        return _response(processor, session_id=session_id)


def _response(
    processor: Any,
    *,
    named: bool = False,
    session_id: Optional[str] = None,
    processor_id: Optional[str] = None,
    time: Optional[int] = None,
) -> Any:
    from starlette.responses import Response

    predictions, count = _predictions(processor, named)
    futures = _futures(processor.pattern_processor)
    rest = {"session_id": session_id, "processor_id": processor_id, "count": count, "time": time, "unique_id": None}
    body = b'{"predictions":%s,"future_potentials":%s,%s' % (predictions, futures, _dumped(rest)[1:])
    return Response(body, media_type="application/json")


def _predictions(processor: Any, named: bool) -> tuple:
    """The bytes and how many: from C where nobody has touched the list, as the host makes them otherwise."""
    found = PREDICTIONS.raw(processor)
    if isinstance(found, Answer):
        found.named = found.named or named and found.untouched
        body = found.json()
        if body is not None:
            return body, len(found)
        found = found.listed()
    if not isinstance(found, list):
        raise Declined("unsupported", f"predictions are a {type(found).__name__}")
    if named:
        add_names(found)
    return _dumped(found), len(found)


def _futures(pattern_processor: Any) -> bytes:
    found = FUTURES.raw(pattern_processor)
    body = found.json() if isinstance(found, Futures) else None
    return body if body is not None else _dumped(found.listed() if isinstance(found, Futures) else found)


def _dumped(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise Declined("unsupported", str(error)[:120]) from None
