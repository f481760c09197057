"""http_probe: an address answers as expected, asked until it does. Health after provisioning."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.outbound import Outbound
from engine.steps.base import Completed, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import Seconds
from engine.verifications.base import Verdict
from engine.verifications.properties import Properties, Statuses

INTERVAL = 5.0
TIMEOUT = 300.0
"""Seconds between two tries, and for all of them, where the document says nothing."""

PROBE_TIMEOUT = 10.0
"""Seconds for one try."""

WAITED = "probe_waited"
"""Key of `external`: seconds waited so far, counted by the waits themselves, by address."""


class ProbeProperties(Properties):
    """`http_probe`: what is asked, how often and how long."""

    url: str
    expected_status: Statuses = (200,)
    interval: Seconds | None = None
    timeout: Seconds | None = None


class HttpProbe:
    """The address answers with an expected status within the time."""

    name: ClassVar[str] = "http_probe"
    model: ClassVar[type[BaseModel]] = ProbeProperties

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound

    async def check(
        self, context: StepContext, properties: ProbeProperties, _: Completed
    ) -> Verdict:
        """Ask once; "not yet" until the time is over. OutboundRefused passes: it is final."""
        expected = list(properties.expected_status)
        status, reason = await self._ask(properties)
        if status in expected:
            return Verdict(True, expected, status)
        interval = INTERVAL if properties.interval is None else properties.interval
        limit = TIMEOUT if properties.timeout is None else properties.timeout
        waited = dict(context.external.get(WAITED) or {})
        so_far = float(waited.get(properties.url) or 0)
        if so_far >= limit:
            return Verdict(False, expected, status, f"{reason} after {so_far:g} s")
        waited[properties.url] = so_far + max(interval, 1.0)
        await context.remember({WAITED: waited})
        return Verdict(False, expected, status, reason, again_in=max(interval, 1.0))

    async def _ask(self, properties: ProbeProperties) -> tuple[int | None, str]:
        try:
            response = await self._outbound.request("GET", properties.url, timeout=PROBE_TIMEOUT)
        except StepFailed as error:
            return None, error.message
        return response.status, f"{properties.url} answered {response.status}"
