"""A local server that behaves like ServiceNow's Table API."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.faulty_server import FaultyServer, bound
from tests.support.http_server import serving

USER, PASSWORD = "pao", "s3cret"


@dataclass
class ServiceNowServer(FaultyServer):
    """`records` by sys_id; every value is a text, as in ServiceNow."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs_close_code: bool = True

    async def _answer(self, request: Request) -> Response:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return _error(401, "User Not Authenticated", "Required to provide Auth information")
        found = re.fullmatch(r"/api/now/table/(\w+)(?:/(\w+))?", request.url.path)
        assert found is not None
        table, identity = found.groups()
        if table not in {"incident", "sc_task"}:
            return _error(400, "Invalid table " + table, "")
        body = json.loads(await request.body() or b"{}")
        if identity is None:
            return self._of_table(request, table, body)
        record = self.records.get(identity)
        if record is None:
            return _error(404, "No Record found", "Record doesn't exist or ACL restricts it")
        if body.get("state") == "6" and self.needs_close_code and not body.get("close_code"):
            return _error(403, "Operation Failed", "Data Policy Exception: close_code is mandatory")
        record.update(body)
        return JSONResponse({"result": record})

    def _of_table(self, request: Request, table: str, body: dict[str, Any]) -> Response:
        if request.method == "GET":
            column, _, value = request.query_params["sysparm_query"].partition("=")
            rows = [one for one in self.records.values() if one.get(column) == value]
            limit = int(request.query_params["sysparm_limit"])
            return JSONResponse({"result": [r for r in rows if r["table"] == table][:limit]})
        number = len(self.records) + 1
        record = {"sys_id": f"{number:032x}", "number": f"INC{number:07}", "table": table}
        record |= {"state": "1", "active": "true"} | body
        self.records[record["sys_id"]] = record
        return JSONResponse({"result": record}, 201)


def _error(status: int, message: str, detail: str) -> Response:
    return JSONResponse(
        {"error": {"message": message, "detail": detail}, "status": "failure"}, status
    )


@asynccontextmanager
async def running_servicenow() -> AsyncIterator[ServiceNowServer]:
    """Run an instance in this loop for the block's time."""
    async with bound() as (listener, url):
        server = ServiceNowServer(url)
        async with serving(server, listener):
            yield server
