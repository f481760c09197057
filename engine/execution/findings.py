"""What a turn has found out so far: its scope, what must be redacted, what it kept and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.durations import parse_duration
from engine.execution.context import RunContext
from engine.execution.scope import RunScope
from engine.foreign_json import clean
from engine.redaction import NOTHING_SECRET, Redactor
from engine.requests.subject import fulfillment_of
from engine.secrets import Cipher
from engine.steps.base import Completed
from engine.store.claimed import ClaimedRequest
from engine.store.execution import Claim

RESULT: Final = "$result"
"""Key in `external` of what `start` gave, while its verification waits."""


@dataclass(slots=True)
class Findings:
    """The facts of one turn. `contradicted` is a result that its verification did not accept."""

    claim: Claim
    request: ClaimedRequest
    token: int
    cipher: Cipher
    scope: RunScope | None = None
    context: RunContext | None = None
    redactor: Redactor = NOTHING_SECRET
    sensitive: tuple[str, ...] = ()
    verification: Any = None
    contradicted: Completed | None = None

    def learn(self) -> None:
        """Redact from now on by every secret that came to light: rendering may read new ones."""
        if self.scope is None:
            return
        secrets = (*self.scope.secrets(), *self.sensitive)
        if secrets == self.redactor.values:
            return
        self.redactor = Redactor(secrets)
        if self.context is not None:
            self.context.redact_by(self.redactor)

    def redacted(self, text: str) -> str:
        """Return a text with dots for secrets."""
        return self.redactor.text(text)

    def parameters(self) -> Any:
        """Return the rendered template as people may see it; None before it was rendered."""
        if self.context is None:
            return None
        return self.redactor.json(clean(dict(self.context.template)))

    def external(self) -> Mapping[str, Any]:
        """Return what earlier turns kept, and this one so far; secrets as references."""
        return self.claim.external if self.context is None else self.context.kept

    def sequence(self) -> Mapping[str, Any]:
        """Return the automation that the step belongs to."""
        return fulfillment_of(self.request.plan, self.claim.component).get("automation") or {}

    def timeout(self) -> float | None:
        """Return the seconds that an attempt may take."""
        written = self.claim.step_config.get("timeout")
        return None if written is None else parse_duration(written)
