"""What a view brings back: which form it is, and where in it. Goes into private_metadata."""

import json
from dataclasses import dataclass
from datetime import datetime

from bot.forms.form import Form, Purpose


@dataclass(frozen=True, slots=True)
class Meta:
    """The marks of a view; `kind` and `name` are the document's."""

    kind: str
    name: str
    content_hash: str
    channel: str | None = None
    page: int = 0
    session: str | None = None
    purpose: Purpose = "request"
    about: str | None = None
    """External id of the instance or request that the form is about."""
    step: str | None = None
    """The step that a retry begins with."""
    at: str | None = None
    """When what is ordered may begin, ISO 8601."""
    count: int = 0
    """How many pages the form had when the view was drawn."""

    @classmethod
    def of(cls, form: Form, channel: str | None = None, **more: str | None) -> "Meta":
        """Return the marks of a form's first page."""
        marks = (form.kind, form.name, form.content_hash, channel)
        return cls(*marks, purpose=form.purpose, about=form.about, **more)  # type: ignore[arg-type]

    @property
    def not_before(self) -> datetime | None:
        """When what is ordered may begin."""
        return datetime.fromisoformat(self.at) if self.at else None

    def packed(self) -> str:
        """Return it as text: under 3000 characters, since names have at most 255."""
        short = {key: value for key in self.__slots__ if (value := getattr(self, key))}
        return json.dumps(short, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def unpacked(cls, text: str) -> "Meta":
        """Read it back; ValueError where the view is not one of ours, or of another release."""
        try:
            return cls(**{"content_hash": "", **json.loads(text)})
        except TypeError as error:
            raise ValueError("the view's metadata is of another release") from error
