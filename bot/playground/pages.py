"""The routes of the browser page: the workspace as JSON, and the gestures of the person acted as.

`/web/events` says that something changed (server-sent events); the page then reads the part of the
workspace that it shows again. Every gesture is a POST of JSON with the user it is done as.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.playground.inputs import Untypable, state_values
from bot.playground.refusals import JsonObject, Refused
from bot.playground.workspace import BOT_USER_ID
from engine.errors import PaoError

if TYPE_CHECKING:
    from bot.playground.engine_panel import EnginePanel
    from bot.playground.faults import Faults
    from bot.playground.gestures import Gestures
    from bot.playground.message_box import MessageBox
    from bot.playground.safety import Doorkeeper
    from bot.playground.surfaces import Surface
    from bot.playground.views import View
    from bot.playground.workspace import Channel

WEB = Path(__file__).parent / "web"
SHOWN_MESSAGES = 300
HEARTBEAT_SECONDS = 15.0

Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """Serves the page to the browser that the doorkeeper let in."""

    def __init__(
        self,
        box: MessageBox,
        gestures: Gestures,
        faults: Faults,
        doorkeeper: Doorkeeper,
        panel: EnginePanel | None,
    ) -> None:
        self._box = box
        self._gestures = gestures
        self._dispatch = gestures.dispatch
        self._workspace = gestures.workspace
        self._views = gestures.views
        self._faults = faults
        self._doorkeeper = doorkeeper
        self._panel = panel
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Let event streams begin."""
        self._stopping.clear()

    def stop(self) -> None:
        """End the event streams, so that the server can end."""
        self._stopping.set()
        self._workspace.changed()

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        acts = {
            "say": self._say,
            "click": self._click,
            "suggest": self._suggest,
            "submit": self._submit,
            "close": self._close,
            "home": self._home,
            "shortcut": self._shortcut,
            "faults": self._set_faults,
            "dismiss": self._dismiss,
        }
        return [
            Route("/", self._index),
            Route("/web/state", self._guarded(self._state)),
            Route("/web/events", self._guarded(self._events)),
            *(Route(f"/web/{n}", self._guarded(act), methods=["POST"]) for n, act in acts.items()),
            Route("/engine/requests", self._guarded(self._requests)),
            Route("/engine/requests/{id}", self._guarded(self._request)),
            Route("/engine/instances", self._guarded(self._instances)),
            Route("/engine/instances/{id}", self._guarded(self._instance)),
            Route("/archives/{rest:path}", self._index),
            Mount("/static", StaticFiles(directory=WEB)),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            if not self._doorkeeper.admits(request):
                return JSONResponse({"error": "Open the address that was printed."}, 401)
            try:
                return await endpoint(request)
            except (Refused, Untypable) as refused:
                return JSONResponse({"error": str(refused)}, 400)
            except PaoError as error:
                return JSONResponse({"error": str(error)}, 503)
            except (KeyError, TypeError, ValueError) as malformed:
                return JSONResponse({"error": f"Malformed request: {malformed!r}"}, 400)

        return answer

    async def _index(self, request: Request) -> Response:
        return self._doorkeeper.exchange(request) or FileResponse(WEB / "index.html")

    # The workspace, as one person sees it

    async def _state(self, request: Request) -> Response:
        query = request.query_params
        user = self._workspace.person(query["user"]).id if "user" in query else self._first_user()
        channel = self._workspace.channel(query.get("channel") or self._first_channel())
        if channel.person not in {None, user}:
            channel = self._workspace.direct_messages(user)
        return JSONResponse(
            {
                "user": user,
                "channel": channel.id,
                "app": self._app(),
                "people": [self._person(person.id) for person in self._workspace.people.values()],
                "channels": [self._channel(c, user) for c in self._workspace.channels.values()],
                "messages": self._messages(channel, user),
                "views": [self._view(view) for view in self._views.stacks.get(user, [])],
                "home": self._view(self._views.homes[user]) if user in self._views.homes else None,
                "notices": self._dispatch.notices[user],
                "faults": self._fault_switches(),
                "engine": self._panel is not None,
            }
        )

    def _first_user(self) -> str:
        return next(iter(self._workspace.people))

    def _first_channel(self) -> str:
        return next(iter(self._workspace.channels))

    def _app(self) -> JsonObject:
        installed = self._dispatch.installation
        return {
            "id": BOT_USER_ID,
            "name": installed.name,
            "commands": [
                {"name": c.name, "description": c.description, "usage_hint": c.usage_hint}
                for c in installed.commands
            ],
            "shortcuts": [
                {"name": s.name, "callback_id": s.callback_id, "description": s.description}
                for s in installed.shortcuts
            ],
        }

    def _person(self, person_id: str) -> JsonObject:
        person = self._workspace.people[person_id]
        teams = [t.name for t in self._workspace.teams.values() if person_id in t.members]
        return {
            "id": person.id,
            "name": person.name,
            "real_name": person.real_name,
            "is_admin": person.is_admin,
            "deleted": person.deleted,
            "teams": teams,
        }

    def _channel(self, channel: Channel, user: str) -> JsonObject:
        visible = self._workspace.visible(channel, user)
        return {
            "id": channel.id,
            "name": channel.name,
            "person": channel.person,
            "has_app": BOT_USER_ID in channel.members,
            "last_ts": visible[-1].ts if visible else None,
        }

    def _messages(self, channel: Channel, user: str) -> list[JsonObject]:
        visible = self._workspace.visible(channel, user)[-SHOWN_MESSAGES:]
        return [
            {
                **message.as_slack(),
                "ephemeral": message.only_for is not None,
                "state": state_values(self._gestures.state_of(user, message)) or {},
            }
            for message in visible
        ]

    def _view(self, view: View) -> JsonObject:
        return {**view.as_slack(), "errors": view.errors, "trouble": view.trouble}

    def _fault_switches(self) -> JsonObject:
        faults = self._faults
        return {
            "delay": faults.delay,
            "failing": faults.failing,
            "rate_limits": faults.rate_limits,
        }

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._changes(), media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[str]:
        with self._workspace.watch() as changed:
            yield "data: changed\n\n"
            while not self._stopping.is_set():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                changed.clear()
                yield "data: changed\n\n"

    # Gestures

    async def _say(self, request: Request) -> Response:
        body = await _body(request)
        await self._box.say(body["user"], body["channel"], str(body["text"]), body.get("thread_ts"))
        return _done()

    async def _click(self, request: Request) -> Response:
        body = await _body(request)
        surface = self._surface(body)
        self._gestures.fill(body["user"], surface, body.get("values", {}))
        await self._gestures.click(
            body["user"], surface, body["action_id"], body.get("value"), block_id=body["block_id"]
        )
        return _done()

    async def _suggest(self, request: Request) -> Response:
        body = await _body(request)
        answer = await self._gestures.suggest(
            body["user"],
            self._surface(body),
            body["action_id"],
            str(body["text"]),
            block_id=body["block_id"],
        )
        return JSONResponse(answer)

    async def _submit(self, request: Request) -> Response:
        body = await _body(request)
        view = self._views.find(view_id=body["view"])
        self._gestures.fill(body["user"], view, body.get("values", {}))
        await self._gestures.submit(body["user"], view)
        return _done()

    async def _close(self, request: Request) -> Response:
        body = await _body(request)
        view = self._views.find(view_id=body["view"])
        await self._gestures.close(body["user"], view, everything=bool(body.get("everything")))
        return _done()

    async def _home(self, request: Request) -> Response:
        body = await _body(request)
        self._gestures.open_home(body["user"], body.get("tab", "home"))
        return _done()

    async def _shortcut(self, request: Request) -> Response:
        body = await _body(request)
        await self._gestures.shortcut(body["user"], body["callback_id"])
        return _done()

    async def _set_faults(self, request: Request) -> Response:
        body = await _body(request)
        self._faults.delay = min(float(body.get("delay", 0)), 10.0)
        self._faults.failing = bool(body.get("failing"))
        self._faults.rate_limits = bool(body.get("rate_limits"))
        self._workspace.changed()
        return _done()

    async def _dismiss(self, request: Request) -> Response:
        self._dispatch.notices[(await _body(request))["user"]].clear()
        self._workspace.changed()
        return _done()

    def _surface(self, body: JsonObject) -> Surface:
        if body.get("view"):
            return self._views.find(view_id=body["view"])
        return self._workspace.message(self._workspace.channel(body["channel"]), body["message"])

    # The engine

    async def _requests(self, _request: Request) -> Response:
        return _found(await self._panel.requests() if self._panel else None)

    async def _request(self, request: Request) -> Response:
        name = request.path_params["id"]
        return _found(await self._panel.request(name) if self._panel else None)

    async def _instances(self, _request: Request) -> Response:
        return _found(await self._panel.instances() if self._panel else None)

    async def _instance(self, request: Request) -> Response:
        name = request.path_params["id"]
        return _found(await self._panel.instance(name) if self._panel else None)


async def _body(request: Request) -> JsonObject:
    body: Any = json.loads(await request.body())
    if not isinstance(body, dict):
        raise TypeError("a JSON object is wanted")
    return body


def _done() -> Response:
    return JSONResponse({"ok": True})


def _found(answer: object) -> Response:
    if answer is None:
        return JSONResponse({"error": "not found"}, 404)
    return JSONResponse(answer)
