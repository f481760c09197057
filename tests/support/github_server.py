"""A local server that behaves like GitHub's REST API where workflows are run.

    github = GitHubServer(...)              # see running_github
    github.workflow("deploy.yml", inputs=["pao_correlation_id"], run_name_shows="pao_correlation_id")
    run = github.runs[0]; run.end("success", {"outputs": {"outputs.json": b"{}"}})
    github.fault("POST", "/dispatches", lose_answer=True)

Runs are made by dispatches, appear in lists only once `listed`, and are ended by the test. A second
server stands for the storage of blobs, which artifacts are redirected to.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.faulty_server import FaultyServer, bound
from tests.support.http_server import HttpServer, running_http_server, serving

TOKEN = "ghp_secret"


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@dataclass
class Run:
    id: int
    workflow: str
    title: str
    branch: str
    inputs: Mapping[str, Any]
    status: str = "queued"
    conclusion: str | None = None
    attempt: int = 1
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    listed: bool = True
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    cancelled: bool = False

    def end(self, conclusion: str) -> None:
        self.status, self.conclusion = "completed", conclusion


@dataclass
class GitHubServer(FaultyServer):
    """The server's state; change it as the world would."""

    blobs: HttpServer
    token: str = TOKEN
    knows_details: bool = True
    refuses_details: bool = False
    lists_new_runs: bool = True
    ends_runs_with: str | None = None
    runs: list[Run] = field(default_factory=list)
    dispatched: list[dict[str, Any]] = field(default_factory=list)
    not_modified: int = 0
    _workflows: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def workflow(self, name: str, inputs: list[str], run_name_shows: str | None = None) -> None:
        declared = "".join(f"\n      {one}: {{type: string}}" for one in inputs)
        text = f"name: Deploy\non:\n  workflow_dispatch:\n    inputs:{declared or ' {}'}\n"
        self._workflows[name] = (text, run_name_shows)

    def artifact(self, run: Run, name: str, files: Mapping[str, bytes], **more: Any) -> None:
        identity = 1000 * run.id + len(run.artifacts)
        packed = zipped(files)
        run.artifacts.append(
            {"id": identity, "name": name, "size_in_bytes": len(packed), "expired": False, **more}
        )
        self.blobs.answer("GET", f"/blob/{identity}", body=packed)

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"message": "Bad credentials"}, 401)
        assert request.headers["x-github-api-version"] == "2022-11-28"
        path = request.url.path.removeprefix("/repos/acme/infra")
        if found := re.fullmatch(r"/actions/workflows/([^/]+)", path):
            known = found[1] in self._workflows
            return JSONResponse({"path": f".github/workflows/{found[1]}"}) if known else _missing()
        if found := re.fullmatch(r"/contents/.github/workflows/(.+)", path):
            text = self._workflows[found[1]][0].encode()
            return JSONResponse(
                {"content": base64.encodebytes(text).decode(), "encoding": "base64"}
            )
        if found := re.fullmatch(r"/actions/workflows/([^/]+)/dispatches", path):
            return self._dispatch(found[1], json.loads(await request.body()))
        if found := re.fullmatch(r"/actions/workflows/([^/]+)/runs", path):
            return self._list(found[1], request.query_params)
        if found := re.fullmatch(r"/actions/artifacts/(\d+)/zip", path):
            return Response(
                status_code=302, headers={"location": f"{self.blobs.url}/blob/{found[1]}"}
            )
        if found := re.fullmatch(r"/actions/runs/(\d+)(/\w+)?", path):
            run = next((one for one in self.runs if one.id == int(found[1])), None)
            return _missing() if run is None else self._run(run, found[2], request)
        return _missing()

    def _dispatch(self, workflow: str, body: dict[str, Any]) -> Response:
        if workflow not in self._workflows:
            return _missing()
        asked = body.pop("return_run_details", None)
        if asked is not None and self.refuses_details:
            message = 'Invalid request.\n\n"return_run_details" is not a permitted key.'
            return JSONResponse({"message": message}, 422)
        text, shown = self._workflows[workflow]
        inputs = body.get("inputs", {})
        unknown = [name for name in inputs if f"      {name}:" not in text]
        if unknown:
            return JSONResponse({"message": f"Unexpected inputs provided: {unknown}"}, 422)
        assert all(isinstance(value, str) for value in inputs.values())
        self.dispatched.append(body)
        run = self.begin(workflow, f"Deploy [{inputs.get(shown, '')}]", body["ref"], inputs)
        if asked and self.knows_details:
            return JSONResponse({"workflow_run_id": run.id, "html_url": self._link(run)})
        return Response(status_code=204)

    def begin(self, workflow: str, title: str, branch: str, inputs: Mapping[str, Any]) -> Run:
        run = Run(len(self.runs) + 1, workflow, title, branch, inputs, listed=self.lists_new_runs)
        if self.ends_runs_with is not None:
            run.end(self.ends_runs_with)
        self.runs.append(run)
        return run

    def _list(self, workflow: str, query: Mapping[str, str]) -> Response:
        assert query["event"] == "workflow_dispatch"
        since = datetime.fromisoformat(query["created"].removeprefix(">="))
        runs = [
            self._shown(run)
            for run in reversed(self.runs)
            if run.workflow == workflow and run.listed and run.created >= since
        ]
        return JSONResponse({"total_count": len(runs), "workflow_runs": runs})

    def _run(self, run: Run, part: str | None, request: Request) -> Response:
        if part == "/cancel":
            if run.status == "completed":
                return JSONResponse({"message": "Cannot cancel a run that is completed"}, 409)
            run.cancelled = True
            return JSONResponse({}, 202)
        if part == "/artifacts":
            return JSONResponse({"artifacts": run.artifacts})
        if part == "/jobs":
            job = {
                "name": "apply",
                "conclusion": run.conclusion,
                "html_url": self._link(run) + "/j",
            }
            return JSONResponse({"jobs": [{"name": "plan", "conclusion": "success"}, job]})
        body = json.dumps(self._shown(run)).encode()
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("if-none-match") == etag:
            self.not_modified += 1
            return Response(status_code=304, headers={"etag": etag})
        return Response(body, media_type="application/json", headers={"etag": etag})

    def _shown(self, run: Run) -> dict[str, Any]:
        return {
            "id": run.id,
            "name": "Deploy",
            "display_title": run.title,
            "head_branch": run.branch,
            "status": run.status,
            "conclusion": run.conclusion,
            "html_url": self._link(run),
            "created_at": run.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "run_attempt": run.attempt,
        }

    def _link(self, run: Run) -> str:
        return f"https://github.example/acme/infra/actions/runs/{run.id}"


def _missing() -> Response:
    return JSONResponse({"message": "Not Found"}, 404)


@asynccontextmanager
async def running_github() -> AsyncIterator[GitHubServer]:
    """Run a GitHub and its storage in this loop for the block's time."""
    async with running_http_server() as blobs, bound() as (listener, url):
        server = GitHubServer(url, blobs)
        async with serving(server, listener):
            yield server
