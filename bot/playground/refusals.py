"""How Slack says no: an error word, and sometimes messages that point into the payload."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""A JSON object as it came off the wire; its shape is checked in `limits`."""


class Refused(Exception):
    """Slack refuses a call. `error` is Slack's word, `messages` its `response_metadata.messages`.

    `extra` holds further top-level keys of the answer (`needed` and `provided` of a missing scope).
    """

    def __init__(self, error: str, messages: list[str] | None = None, **extra: Any) -> None:
        super().__init__(error, messages or [])
        self.error = error
        self.messages = messages or []
        self.extra = extra

    def answer(self) -> JsonObject:
        """Return the body of Slack's answer."""
        body: JsonObject = {"ok": False, "error": self.error, **self.extra}
        if self.messages:
            body["response_metadata"] = {"messages": [f"[ERROR] {text}" for text in self.messages]}
        if self.error == "invalid_blocks":
            body["errors"] = self.messages
        return body
