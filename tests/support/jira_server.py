"""A local server that behaves like Jira, Cloud or Data Center, version 2 of its API.

An issue is found by searches only once it is `indexed`, as on Cloud. On Cloud the old search is
gone. Statuses have names of their own and one of three categories.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.faulty_server import FaultyServer, bound
from tests.support.http_server import serving

USER, TOKEN = "bot@acme.example", "s3cret"
STATUSES = {"Zu tun": "new", "In Arbeit": "indeterminate", "Fertig": "done", "Abgelehnt": "done"}
CREATED = "2026-11-24T10:00:00.000+0000"


@dataclass
class Made:
    key: str
    fields: dict[str, Any]
    status: str = "Zu tun"
    resolved: str | None = None
    comments: list[str] = field(default_factory=list)
    indexed: bool = True

    def move(self, status: str, resolved: str | None = None) -> None:
        self.status, self.resolved = status, resolved


@dataclass
class JiraServer(FaultyServer):
    kind: Literal["Cloud", "Server"] = "Cloud"
    indexes_at_once: bool = True
    can_close: bool = True
    issues: list[Made] = field(default_factory=list)

    async def _answer(self, request: Request) -> Response:
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") not in {f"Basic {pair}", f"Bearer {TOKEN}"}:
            return Response("<html>Unauthorized", 401)
        path = request.url.path.removeprefix("/rest/api/2")
        body = await request.body()
        match request.method, path:
            case "GET", "/serverInfo":
                return JSONResponse({"versionNumbers": [9, 12, 0], "deploymentType": self.kind})
            case "GET", "/search/jql" if self.kind == "Cloud":
                return self._search(request.query_params["jql"])
            case "GET", "/search" if self.kind == "Server":
                return self._search(request.query_params["jql"])
            case "GET", "/search":
                return JSONResponse({"errorMessages": ["The requested API has been removed."]}, 410)
            case "POST", "/issue":
                return self._create(json.loads(body)["fields"])
            case "GET", "/project/OPS":
                types = [{"name": "Task"}, {"name": "Incident"}]
                return JSONResponse({"key": "OPS", "issueTypes": types})
        found = re.fullmatch(r"/issue/([A-Z]+-\d+)(/\w+)?", path)
        issue = next((one for one in self.issues if found and one.key == found[1]), None)
        if found is None or issue is None:
            return JSONResponse({"errorMessages": ["Issue does not exist"], "errors": {}}, 404)
        return self._of(issue, request.method, found[2], json.loads(body or b"{}"))

    def _search(self, query: str) -> Response:
        wanted = set(re.findall(r'"([^"]*)"', query))
        found = [one for one in self.issues if one.indexed and wanted & set(one.fields["labels"])]
        return JSONResponse({"issues": [self._shown(one) for one in found], "isLast": True})

    def _create(self, fields: dict[str, Any]) -> Response:
        errors = {}
        if fields["project"] != {"key": "OPS"}:
            errors["project"] = "valid project is required"
        elif fields["issuetype"]["name"] not in {"Task", "Incident"}:
            errors["issuetype"] = "The issue type selected is invalid."
        allowed = {"Cloud": "accountId", "Server": "name"}[self.kind]
        if "assignee" in fields and set(fields["assignee"]) != {allowed}:
            errors["assignee"] = "User does not exist"
        if any(" " in one for one in fields["labels"]):
            errors["labels"] = "The label contains spaces which is invalid."
        if len(fields["summary"]) > 255 or "\n" in fields["summary"]:
            errors["summary"] = "The summary is invalid because it contains newline characters."
        if errors:
            return JSONResponse({"errorMessages": [], "errors": errors}, 400)
        made = Made(f"OPS-{len(self.issues) + 1}", fields, indexed=self.indexes_at_once)
        self.issues.append(made)
        return JSONResponse({"id": "1", "key": made.key, "self": f"{self.url}/x"}, 201)

    def _of(self, issue: Made, method: str, part: str | None, body: Any) -> Response:
        match method, part:
            case "GET", None:
                return JSONResponse(self._shown(issue))
            case "POST", "/comment":
                issue.comments.append(body["body"])
                return JSONResponse({"id": "7", "body": body["body"]}, 201)
            case "GET", "/transitions":
                names = [name for name in STATUSES if self.can_close or STATUSES[name] != "done"]
                shown = [
                    {"id": str(n), "name": "x", "to": _status(one)} for n, one in enumerate(names)
                ]
                return JSONResponse({"transitions": shown})
            case "POST", "/transitions":
                issue.move(list(STATUSES)[int(body["transition"]["id"])])
                return Response(status_code=204)
        return Response(status_code=405)

    def _shown(self, issue: Made) -> dict[str, Any]:
        fields = {
            "status": _status(issue.status),
            "created": CREATED,
            "resolutiondate": issue.resolved,
        }
        return {"id": issue.key[4:], "key": issue.key, "self": self.url, "fields": fields}


def _status(name: str) -> dict[str, Any]:
    return {"name": name, "statusCategory": {"key": STATUSES[name], "name": name}}


@asynccontextmanager
async def running_jira(kind: Literal["Cloud", "Server"] = "Cloud") -> AsyncIterator[JiraServer]:
    """Run a Jira in this loop for the block's time."""
    async with bound() as (listener, url):
        server = JiraServer(url, kind=kind)
        async with serving(server, listener):
            yield server
