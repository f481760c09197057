"""GitHub's webhooks: a push to the catalog's branch starts a sync, a run that moves is looked at.

A delivery is answered with 202 before anything is done, and done once: GitHub never sends one again
by itself, but people can, and so can whoever recorded one. What a delivery says beside its branch or
its run is not believed; the sync fetches and the step asks for itself.

Syncs of one process follow each other, and pushes that come during one share the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from bot.deliveries import LONGEST_ID, Delivery, Refused, Secret, accepted, answered, ignored

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.background import Background
    from engine import Engine

SOURCE: Final = "github"
WORKFLOW_STEP: Final = "GitHubWorkflow"
"""The step type that waits for runs."""

TAKEN_BEFORE: Final = "this delivery was taken before"


class GitHubWebhooks:
    """Answers `POST /webhooks/github`; `secret` None refuses everything.

    https://docs.github.com/webhooks/webhook-events-and-payloads.
    """

    def __init__(self, engine: Engine, background: Background, secret: str | None) -> None:
        self._engine = engine
        self._background = background
        self._secret = Secret(secret, "PAO_GITHUB_WEBHOOK_SECRET")
        self._is_syncing = False
        self._is_wanted = False

    async def answer(self, request: Request) -> Response:
        """Answer one delivery."""
        return await answered(request, self._secret, self._take)

    async def _take(self, delivery: Delivery) -> Response:
        id_ = delivery.headers.get("X-GitHub-Delivery", "")
        if not 0 < len(id_) <= LONGEST_ID:
            raise Refused(400, "The header X-GitHub-Delivery is missing or too long.")
        match delivery.headers.get("X-GitHub-Event", ""):
            case "ping":
                return JSONResponse({"result": "pong"})
            case "push":
                return await self._pushed(id_, delivery.payload)
            case "workflow_run":
                return await self._run_moved(id_, delivery.payload)
            case event:
                looked_at = "only push and workflow_run"
                return ignored(f"events of the type {event!r} are not looked at, {looked_at}")

    async def _pushed(self, id_: str, payload: Mapping[str, Any]) -> Response:
        config = self._engine.config
        if config.catalog_url is None:
            return ignored("no catalog is set up")
        if payload.get("ref") != f"refs/heads/{config.catalog_branch}":
            return ignored(f"only pushes to {config.catalog_branch} matter")
        if not await self._engine.remember_delivery(SOURCE, id_):
            return ignored(TAKEN_BEFORE)
        self._sync_soon()
        return accepted()

    async def _run_moved(self, id_: str, payload: Mapping[str, Any]) -> Response:
        run = payload.get("workflow_run")
        run_id = run.get("id") if isinstance(run, Mapping) else None
        if not isinstance(run_id, int) or isinstance(run_id, bool):
            raise Refused(400, "The delivery names no run in workflow_run.id.")
        if not await self._engine.remember_delivery(SOURCE, id_):
            return ignored(TAKEN_BEFORE)
        if not await self._engine.nudge_job(WORKFLOW_STEP, str(run_id)):
            return ignored("no step waits for this run")
        return accepted()

    def _sync_soon(self) -> None:
        self._is_wanted = True
        if not self._is_syncing:
            self._is_syncing = True
            self._background.run(self._sync(), "sync by webhook")

    async def _sync(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                await self._engine.sync_catalog(None, "webhook")
        finally:
            self._is_syncing = False
