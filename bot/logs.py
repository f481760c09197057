"""Logs of a process: the settings' format, and no secret of the settings in any line."""

from __future__ import annotations

import structlog.contextvars

from bot.settings import Settings
from engine import telemetry
from engine.redaction import Redactor


def configure(settings: Settings, level: str = "INFO") -> None:
    """Send all logs of this process to stderr."""
    structlog.contextvars.clear_contextvars()
    redactor = Redactor(settings.secret_values())
    telemetry.configure(settings.log_format, level, redact=redactor.text)
