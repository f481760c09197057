"""What templates see: plain data of the request, its document, its instance and what it builds on.

Secrets are decrypted here, when a step runs, and nowhere before; what was decrypted is handed out
with the scope, because everything that the step says must be redacted by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from engine.catalog.options import DOCUMENT_KEYS
from engine.requests.parameters import in_clear, references_in, texts_in
from engine.secrets import Cipher, SecretFiles, SecretScope
from engine.store.execution import ClaimedRequest
from engine.store.secrets import EncryptedValue


@dataclass(frozen=True, slots=True)
class RunScope:
    """The scope of one run, and every secret in it, in clear."""

    names: Mapping[str, Any]
    secret_scope: SecretScope
    clear: Mapping[UUID, Any]

    def secrets(self) -> tuple[str, ...]:
        """Return what must be redacted: what was decrypted, and the files that were read so far."""
        decrypted = (text for value in self.clear.values() for text in texts_in(value))
        return (*decrypted, *self.secret_scope.values)


def secret_ids(request: ClaimedRequest) -> Iterator[UUID]:
    """Yield the ids of all secrets that the request's scope refers to."""
    for data in (
        request.parameters,
        request.steps,
        request.dependencies,
        request.service_outputs,
        request.deployment_parameters,
    ):
        yield from references_in(data)


def build_scope(
    request: ClaimedRequest,
    kept: Mapping[UUID, EncryptedValue],
    cipher: Cipher,
    files: SecretFiles,
    *,
    component: str | None = None,
) -> RunScope:
    """Return what the templates of a request's steps see; raises SecretUnreadable."""
    clear = {
        id_: cipher.decrypt(secret.ciphertext, secret.purpose, secret.key_id)
        for id_, secret in kept.items()
    }
    document = request.plan.get("document", {})
    secret_scope = files.scope(document.get("owner", ""), document.get("path"))
    names = in_clear(_names(request, document, component), clear)
    names["secrets"] = secret_scope
    return RunScope(names, secret_scope, clear)


def field_names(presentation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all fields of a presentation as written."""
    for key in ("fields", "bundle_fields"):
        yield from (field["name"] for field in presentation.get(key) or ())
    for group in presentation.get("groups") or ():
        yield from (field["name"] for field in group.get("fields") or ())


def _names(
    request: ClaimedRequest, document: Mapping[str, Any], component: str | None
) -> dict[str, Any]:
    fields = dict.fromkeys(field_names(request.plan.get("presentation", {})))
    return {
        **fields,
        **request.parameters,
        "parameters": [
            {"name": name, "value": value} for name, value in request.parameters.items()
        ],
        "requester": {
            "user_id": request.requester_user_id,
            "name": request.requester_name,
            "email": request.requester_email,
            "team": request.requester_team,
        },
        "request": {"id": request.request_id, "type": request.request_type},
        "catalog_item": {key: document.get(key) for key in DOCUMENT_KEYS},
        "instance": _instance(request),
        "dependencies": dict(request.dependencies),
        "components": {},
        "steps": _steps(request.steps, component),
        "current_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _instance(request: ClaimedRequest) -> dict[str, Any]:
    known = {"id": request.instance_id, "name": request.instance_name}
    if request.request_type == "create":
        return known
    return known | {
        "outputs": request.service_outputs or {},
        "parameters": request.deployment_parameters or {},
        "version": request.instance_version,
    }


def _steps(steps: Mapping[str, Any], component: str | None) -> dict[str, Any]:
    """Return the steps of the same component by name; the outputs of one that gave none are None."""
    prefix = f"{component}/" if component else ""
    return {
        step_id.removeprefix(prefix): {"outputs": outputs}
        for step_id, outputs in steps.items()
        if step_id.startswith(prefix)
    }
