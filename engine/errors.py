"""Every error that PAO raises on purpose.

Each says what happened, why, and what to do next, and carries two machine-readable words: `code`
(stable; scripts match on it as `error.code` of the JSON output) and `kind` (whether trying again
can help). Errors of a library are wrapped into one of these at the seam of that library.

    PaoError
    ├── InvalidInput          what somebody typed or wrote breaks a rule; `field` names where
    │   └── TemplateError     a template cannot be read or rendered
    ├── NotFound              no item, request, instance, person of that name
    ├── Forbidden             the person may not do this
    ├── Conflict              another request, version or state stands in the way; `request_id`
    │   └── ConstraintViolated  a named rule of the schema; `constraint`
    ├── Unreachable           an outside system cannot be reached
    │   └── Unavailable       ... and it is the database
    ├── ConfigurationError    a setting, a missing tool, a broken installation
    ├── OutboundRefused       the outbound guard does not let a connection out
    └── StepFailed            one attempt of a step failed; what the attempt's row keeps
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

Kind = Literal["transient", "permanent", "unknown"]
"""Transient: try again. Permanent: trying again gives the same. Unknown: the effect may have
happened, so only an idempotent operation may be tried again."""


LONGEST_QUOTE: Final = 60
"""Characters of somebody's text that a sentence of ours repeats."""


def shortened(text: object) -> str:
    """Return somebody's text, cut to what a sentence of ours bears."""
    whole = str(text)
    return whole if len(whole) <= LONGEST_QUOTE else whole[: LONGEST_QUOTE - 1] + "…"


def quoted(text: object) -> str:
    """Return somebody's text in quotes, cut to what a sentence of ours bears."""
    return repr(shortened(text))


class PaoError(Exception):
    """The root: `what` happened, `why`, and what to `do`; each a phrase or a sentence of its own.

    `code` overrides the class's word where one class covers several stable codes.
    """

    default_code: ClassVar[str] = "error"
    default_kind: ClassVar[Kind] = "unknown"

    def __init__(self, what: str, why: str = "", do: str = "", *, code: str | None = None) -> None:
        self.what = what
        self.why = why
        self.do = do
        self.code: str = code or self.default_code
        self.kind: Kind = self.default_kind
        super().__init__(what, why, do)

    def __str__(self) -> str:
        """Return the whole chain as text: `What: why. What to do.`."""
        cause = ": ".join(part.strip().rstrip(".") for part in (self.what, self.why) if part)
        return " ".join(_sentence(part) for part in (cause, self.do) if part)


class InvalidInput(PaoError):
    """Something typed or written breaks a rule; `field` is the field's name or path.

    `errors` holds the findings one by one (the catalog's FieldError) where there are several.
    """

    default_code = "invalid_input"
    default_kind = "permanent"

    def __init__(
        self,
        what: str,
        why: str = "",
        do: str = "",
        *,
        field: str | None = None,
        errors: Sequence[Any] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(what, why, do, code=code)
        self.field = field
        self.errors = tuple(errors)


class TemplateError(InvalidInput):
    """A template cannot be read, names something unknown, or fails to render."""

    default_code = "template_error"


class NotFound(PaoError):
    """Nothing has the name or id that was asked for."""

    default_code = "not_found"
    default_kind = "permanent"


class Forbidden(PaoError):
    """The person may not do this; `do` says who may, or how to get the right."""

    default_code = "forbidden"
    default_kind = "permanent"


class Conflict(PaoError):
    """The state of things does not allow it; `request_id` is the request that stands in the way.

    `details`: more that a program may show, JSON-ready (`blocked`: blocking_instances).
    """

    default_code = "conflict"
    default_kind = "permanent"

    def __init__(
        self,
        what: str,
        why: str = "",
        do: str = "",
        *,
        request_id: str | None = None,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, why, do, code=code)
        self.request_id = request_id
        self.details: Mapping[str, Any] = details or {}


class ConstraintViolated(Conflict):
    """The database refused a row by a named constraint; callers match on `constraint`."""

    default_code = "constraint_violated"

    def __init__(self, constraint: str, message: str, detail: str = "") -> None:
        super().__init__("The database refused the change", detail or message)
        self.constraint = constraint


class Unreachable(PaoError):
    """An outside system (Git, Slack, a ticket system) does not answer."""

    default_code = "unreachable"
    default_kind = "transient"


class Unavailable(Unreachable):
    """The database does not answer, or is not ready to be used."""

    default_code = "database_unavailable"


class ConfigurationError(PaoError):
    """A setting is missing or wrong, or a tool that is needed is not installed."""

    default_code = "configuration_error"
    default_kind = "permanent"


class OutboundRefused(PaoError):
    """The outbound guard refuses an address; never retried."""

    default_code = "outbound_refused"
    default_kind = "permanent"


class StepFailed(PaoError):
    """One attempt of a step failed.

    `error_type` and `details` go to the attempt's row as they are (redacted there); `retry_after`,
    in seconds, is the lower bound of the next wait that the outside system asked for.
    """

    default_code = "step_failed"

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        kind: Kind = "unknown",
        retry_after: float | None = None,
        do: str = "",
    ) -> None:
        super().__init__(message, do=do)
        self.error_type = error_type
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.kind = kind
        self.retry_after = retry_after


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
