"""Cursors of keyset pages: the place after the last row of a page, opaque to whoever carries it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from engine.errors import InvalidInput


def write_cursor(moment: datetime, row_id: UUID) -> str:
    """Return the cursor of the page that begins after this row."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()}|{row_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return what the cursor says; InvalidInput for anything that is not one."""
    try:
        moment, _, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return datetime.fromisoformat(moment), UUID(row_id)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidInput(
            "The cursor cannot be read", "it is not one that a page gave", "Start at the first page"
        ) from error
