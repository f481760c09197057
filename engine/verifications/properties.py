"""What the properties of verifications have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.steps.templates import RenderedText


class Properties(BaseModel):
    """Base of the models: immutable, and a key that means nothing is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str


def _many(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Names = Annotated[tuple[RenderedText, ...], BeforeValidator(_many), Field(min_length=1)]
"""One name or a list."""

Statuses = Annotated[tuple[int, ...], BeforeValidator(_many), Field(min_length=1)]
"""One HTTP status or a list."""
