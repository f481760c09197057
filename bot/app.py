"""The Bolt app: what stands around every listener. The listeners themselves are in `handlers`.

`build_app` gives an app without listeners; `handlers.register(app, services)` adds them. The person
becomes an Actor inside the work, not in the middleware: looking somebody up may need Slack and the
database, and an acknowledgement waits for nothing.
"""

import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import ClientError
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.background import Background
from bot.homes import Homes
from bot.identity import Identity
from engine import ConfigurationError, Engine, Unreachable

SLACK_API: Final = "https://slack.com/api/"
CALL_SECONDS: Final = 10
"""How long one call of the Web API may take."""

LARGEST_BODY: Final = 2 << 20
"""Bytes of a request from Slack; the largest views have 250 kB."""

REFUSED_TOKEN: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "not_allowed_token_type"}
)
"""Slack's words for a token that is of no use."""

_OAUTH = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")

AckHook = Callable[[str, float], None]
"""Is told the kind of a payload and the seconds until it was acknowledged."""

log = structlog.get_logger(__name__)


def _unmeasured(_kind: str, _seconds: float) -> None:
    """Take no measure."""


@dataclass(frozen=True, slots=True)
class Services:
    """What listeners and the notifier work with."""

    engine: Engine
    client: AsyncWebClient
    identity: Identity
    homes: Homes
    background: Background = field(default_factory=Background)
    on_ack: AckHook = _unmeasured

    @classmethod
    def of(
        cls,
        client: AsyncWebClient,
        engine: Engine,
        *,
        group_teams: Mapping[str, str] | None = None,
        on_ack: AckHook = _unmeasured,
    ) -> "Services":
        """Return the services around one client and one engine; `group_teams` as Identity has it."""
        identity = Identity(engine, client, group_teams=group_teams)
        return cls(engine, client, identity, Homes(engine, client, identity), on_ack=on_ack)


def slack_client(token: str, api_url: str | None = None, **arguments: Any) -> AsyncWebClient:
    """Return a client of Slack's Web API; `api_url` is another server that speaks it.

    It repeats a call whose connection broke, and nothing else: who waits out a rate limit inside a
    call loses the three seconds in which a form may open. The notifier waits by itself.
    """
    return AsyncWebClient(
        token=token,
        base_url=api_url or SLACK_API,
        timeout=CALL_SECONDS,
        retry_handlers=[AsyncConnectionErrorRetryHandler(max_retry_count=1)],
        **arguments,
    )


async def require_access(client: AsyncWebClient) -> None:
    """Ask Slack whether it takes the bot token: Bolt would find out at the first event only.

    ConfigurationError where it does not, Unreachable where Slack does not answer.
    """
    try:
        await client.auth_test()
    except SlackApiError as refusal:
        word = str(refusal.response.get("error"))
        if word in REFUSED_TOKEN:
            raise ConfigurationError(
                "Slack refuses the bot token",
                word,
                "Set SLACK_BOT_TOKEN to the bot token (xoxb-) of the installed app",
            ) from refusal
        raise Unreachable("Slack does not let us in", word, "Try again in a moment") from refusal
    except (ClientError, OSError, TimeoutError) as broken:
        raise Unreachable(
            "Slack cannot be reached", str(broken), "Check the network and SLACK_API_URL"
        ) from broken


def build_app(services: Services, *, signing_secret: str | None = None) -> AsyncApp:
    """Return the app with its middleware.

    `signing_secret` is needed for Slack over HTTP; without one no HTTP request passes.

    `process_before_response` lets Bolt answer as soon as a listener returns. Without it Bolt looks
    every 10 ms whether a listener has acknowledged, and the answering work, begun meanwhile, takes
    the processor from every acknowledgement still to come. So a listener must not work: it
    acknowledges, starts a task and returns, as those of `bot.listening` do.
    """
    for name in _OAUTH:  # Bolt would switch to its installation flow by their mere presence
        os.environ.pop(name, None)
    app = AsyncApp(
        client=services.client,
        signing_secret=signing_secret or secrets.token_hex(32),
        process_before_response=True,
    )
    app.middleware(_with_log_context)
    return app


def http_endpoint(app: AsyncApp) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint for `/slack/events`; Bolt checks the signature and the time in it.

    Bolt reads a whole body before it can check: so its length must be said, and is bounded, first.
    """
    handler = AsyncSlackRequestHandler(app)

    async def answer(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 10 or int(length) > LARGEST_BODY:
            return PlainTextResponse(f"At most {LARGEST_BODY} bytes, announced.", status_code=413)
        return await handler.handle(request)

    return answer


def kind_of(body: Mapping[str, Any]) -> str:
    """Return the kind of a payload: command, event_callback, block_actions, view_submission ..."""
    return "command" if "command" in body else str(body.get("type", "unknown"))


def user_of(body: Mapping[str, Any]) -> str:
    """Return the Slack user id of the person who did it; empty where nobody did."""
    user = body.get("user") or body.get("event", {}).get("user")
    return str(user["id"] if isinstance(user, Mapping) else user or body.get("user_id") or "")


async def _with_log_context(
    body: dict[str, Any],
    context: dict[str, Any],
    next: Callable[[], Awaitable[None]],  # noqa: A002
) -> None:
    """Give every line of this payload's work its kind and its person, and note when it came.

    Bolt's `next` returns before the listener runs, so the binding stays: each payload has a task,
    and with it a context, of its own.
    """
    context["received_at"] = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(slack=kind_of(body), user=user_of(body))
    await next()
