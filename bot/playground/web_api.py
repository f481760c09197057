"""The Web API's door: who may call a method, with which arguments, and what was called.

An argument that a method does not know is refused, which is stricter than Slack: it is a
misspelling, and Slack would ignore it silently.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bot.playground.refusals import JsonObject, Refused

if TYPE_CHECKING:
    from bot.playground.installation import Installation
    from bot.playground.sockets import Sockets
    from bot.playground.views import Views
    from bot.playground.workspace import Workspace

Handler = Callable[["WebApi", JsonObject], JsonObject]
Caller = Literal["bot", "app", "anybody"]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: who may call it, with what, and what it does."""

    handler: Handler
    scope: str | None
    required: frozenset[str]
    optional: frozenset[str]
    caller: Caller = "bot"


REMEMBERED = 10_000
"""How many calls are kept, for tests to look at."""

_JSON_ARGUMENTS = {"blocks", "view", "metadata"}
_FLAGS = {
    "exclude_archived",
    "include_count",
    "include_disabled",
    "include_users",
    "return_im",
}


class WebApi:
    """Answers calls against one workspace."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        workspace: Workspace,
        views: Views,
        installation: Installation,
        sockets: Sockets,
        *,
        bot_token: str,
        app_token: str,
    ) -> None:
        self.workspace = workspace
        self._methods = methods
        self.views = views
        self.installation = installation
        self.sockets = sockets
        self.base_url = ""
        self._tokens = {bot_token: "bot", app_token: "app"}
        self.calls: deque[tuple[str, JsonObject]] = deque(maxlen=REMEMBERED)

    def call(self, name: str, token: str, arguments: JsonObject) -> JsonObject:
        """Run one method; raises Refused with Slack's word."""
        known = self._methods.get(name)
        if known is None:
            raise Refused("unknown_method", req_method=name)
        self._authorise(known, token)
        given = _decoded(arguments)
        _check_arguments(known, given)
        self.calls.append((name, given))
        return {"ok": True, **known.handler(self, given)}

    def _authorise(self, known: Method, token: str) -> None:
        if known.caller == "anybody":
            return
        if not token:
            raise Refused("not_authed")
        kind = self._tokens.get(token)
        if kind is None:
            raise Refused("invalid_auth")
        if kind != known.caller:
            raise Refused("not_allowed_token_type")
        scopes = self.installation.scopes
        if known.scope is not None and known.scope not in scopes:
            raise Refused("missing_scope", needed=known.scope, provided=",".join(sorted(scopes)))

    def has_scope(self, scope: str) -> bool:
        """Say whether the app was granted a scope."""
        return scope in self.installation.scopes


def _decoded(arguments: JsonObject) -> JsonObject:
    decoded: JsonObject = {}
    for name, value in arguments.items():
        if name in _JSON_ARGUMENTS and isinstance(value, str):
            try:
                decoded[name] = json.loads(value)
            except ValueError as broken:
                word = "invalid_blocks_format" if name == "blocks" else "invalid_arguments"
                raise Refused(word, [f"{name} is not JSON"]) from broken
        elif name in _FLAGS:
            decoded[name] = value in {True, "true", "1"}
        else:
            decoded[name] = value
    return decoded


def _check_arguments(known: Method, given: JsonObject) -> None:
    problems = [
        f"missing required field: {name}" for name in sorted(known.required) if name not in given
    ]
    allowed = known.required | known.optional | {"token", "team_id"}
    problems += [f"no such argument: {name}" for name in sorted(given) if name not in allowed]
    if problems:
        raise Refused("invalid_arguments", problems)
