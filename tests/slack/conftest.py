"""The running bot with a small catalog of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot

CACHE = """
name: redis-cache
display_name: Redis cache
version: 1.0.0
owner: platform
description: Keeps what is asked for often
tags: [cache]
presentation:
  fields:
    - {{name: size, type: selection, oneof: [small, large], default: small, required: true}}
    - {{name: memory, type: integer, label: Memory in GB, min_value: 1, max_value: 64, required: true,
       conditional: {{field: size, value: large}}}}
    - {{name: contact, type: string, format: email, required: true}}
    - {{name: password, type: secret, min_length: 8, required: true}}
    - {{name: note, type: textarea}}
fulfillment:
  manual: &manual
    system: webhook
    template: {{url: "{url}/tickets", body: {{summary: "Cache for {{{{ requester.name }}}}"}}}}
  automation:
    steps:
      - name: create
        type: HttpPost
        template:
          url: "{url}/caches"
          body: {{size: "{{{{ size }}}}", password: "{{{{ password }}}}"}}
        outputs: {{address: $.address}}
"""

FAILING = """
name: flaky-queue
display_name: Flaky queue
version: 1.0.0
owner: platform
description: Fails, and becomes a ticket
presentation: {{fields: []}}
fulfillment:
  manual:
    system: webhook
    template: {{url: "{url}/tickets", body: {{summary: "A queue"}}}}
  automation:
    retry_policy: {{max_attempts: 1}}
    steps:
      - name: create
        type: HttpPost
        template: {{url: "{url}/queues", body: {{}}}}
        outputs: {{address: $.address}}
"""

FIREWALL = """
name: firewall-change
display_name: Firewall change
version: 1.0.0
owner: platform
description: Done by people
presentation:
  fields:
    - {{name: port, type: integer, required: true, min_value: 1, max_value: 65535}}
fulfillment:
  manual:
    system: webhook
    template: {{url: "{url}/tickets", body: {{summary: "Open {{{{ port }}}}"}}}}
"""

DOCUMENTS = {
    "catalog/databases/redis-cache.yaml": CACHE,
    "catalog/messaging/flaky-queue.yaml": FAILING,
    "catalog/networking/firewall-change.yaml": FIREWALL,
}


@pytest.fixture
def catalog(git_repository: Callable[..., GitRepository], http_server: HttpServer) -> GitRepository:
    """A repository with three items that call the test's HTTP server."""
    return git_repository(
        {path: text.format(url=http_server.url) for path, text in DOCUMENTS.items()}
    )


@pytest.fixture
async def bot(
    dsn: str, catalog: GitRepository, http_server: HttpServer, tmp_path: Path
) -> AsyncIterator[RunningBot]:
    """The bot, running."""
    http_server.answer("POST", "/caches", json={"address": "cache.internal:6379"})
    http_server.answer("POST", "/queues", status=400, json={"error": "no quota"}, times=1)
    http_server.answer("POST", "/tickets", json={"id": "OPS-1", "status": "open"})
    async with running_bot(dsn, catalog.url, tmp_path / "data") as bot:
        yield bot
