"""What makes two submissions under one idempotency key the same: their contents, secrets aside."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.catalog.documents import load_presentation
from engine.catalog.fields import SecretField
from engine.foreign_json import dump_json
from engine.requests.components import said_of
from engine.requests.judging import Form, Order
from engine.results import SECRET_DOTS, Actor, Submission


def digest_of(order: Order, actor: Actor, submission: Submission) -> str:
    """Return the hash of what is asked for, secrets left out."""
    own, *parts = order.forms(submission)
    contents: dict[str, Any] = {
        "item": order.document.name,
        "user": actor.user_id,
        "name": submission.instance_name,
        "team": submission.team,
        "parameters": _without_secrets(own),
        "dependencies": dict(sorted(submission.dependencies.items())),
        "at": submission.at and submission.at.isoformat(),
    }
    if order.target:
        contents |= {"type": order.request_type, "instance": order.target.instance_id}
    if submission.components:
        contents["components"] = {
            "on": {
                name: said_of(submission, name).get("enabled")
                for name in sorted(submission.components)
            },
            "parameters": {part.prefix: _without_secrets(part) for part in parts},
        }
    return hashlib.sha256(dump_json(contents).encode("utf-8", "surrogatepass")).hexdigest()


def _without_secrets(form: Form) -> dict[str, Any]:
    """Return what was given, with dots for all but the plain fields of the document itself.

    What an operation asks beside, since an instance lacks it, is not there once it was given.
    """
    fields = load_presentation(form.document.presentation).all_fields
    plain = {spec.name for spec in fields if not isinstance(spec, SecretField)}
    return {
        name: value if name in plain else SECRET_DOTS for name, value in sorted(form.given.items())
    }
