"""What templates see: plain data of the request, its document, its instance and what it builds on.

Secrets are decrypted here, when a step runs, and nowhere before; what was decrypted is handed out
with the scope, because everything that the step says must be redacted by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from engine.execution.connections import rendered_connections
from engine.execution.members import judge
from engine.requests.names import listed, template_names
from engine.requests.parameters import in_clear, references_in, texts_in
from engine.requests.subject import part_of
from engine.secrets import Cipher, SecretFiles, SecretScope
from engine.store.claimed import ClaimedRequest
from engine.store.execution import MemberParameters
from engine.store.secrets import EncryptedValue


@dataclass(frozen=True, slots=True)
class RunScope:
    """The scope of one run, and every secret in it, in clear.

    `member`: what the component's instance turned out to be made with, where that is not kept yet.
    """

    names: Mapping[str, Any]
    secret_scope: SecretScope
    clear: Mapping[UUID, Any]
    member: MemberParameters | None = None

    def secrets(self) -> tuple[str, ...]:
        """Return what must be redacted: what was decrypted, and the files that were read so far."""
        decrypted = (text for value in self.clear.values() for text in texts_in(value))
        return (*decrypted, *self.secret_scope.values)


class Scopes:
    """The scopes of steps that were claimed together, built when a step runs.

    Steps of one request that may see the same secrets share one; a step decrypts what it may refer to,
    not what was claimed beside it.
    """

    def __init__(
        self, kept: Mapping[UUID, EncryptedValue], cipher: Cipher, files: SecretFiles
    ) -> None:
        """`kept`: the ciphertexts of all of them."""
        self._kept = kept
        self._cipher = cipher
        self._files = files
        self._shared: dict[tuple[UUID, frozenset[UUID]], RunScope] = {}

    def of(
        self, request: ClaimedRequest, component: str | None, secrets: frozenset[UUID]
    ) -> RunScope:
        """Return what a step of a request, or of its component, sees; raises as `build_scope`."""
        if component is not None:  # what a member is made with is kept with each step's own secrets
            return self._build(request, component, secrets)
        key = (request.id, secrets)
        if key not in self._shared:
            self._shared[key] = self._build(request, None, secrets)
        return self._shared[key]

    def _build(
        self, request: ClaimedRequest, component: str | None, secrets: frozenset[UUID]
    ) -> RunScope:
        kept = {id_: self._kept[id_] for id_ in secrets & self._kept.keys()}
        scope = build_scope(
            request,
            kept,
            self._cipher,
            self._files,
            component=component,
            holds_secrets=bool(secrets),
        )
        return scope if component is None else _connected(request, component, scope)


def _connected(request: ClaimedRequest, component: str, scope: RunScope) -> RunScope:
    """Return the scope with how its member is connected, where that is known only now."""
    connections = rendered_connections(request, component)
    member = request.members.get(component)
    if not connections or member is None:
        return scope
    made_with = scope.member or MemberParameters(member.id, member.deployment_parameters)
    return replace(scope, member=replace(made_with, connections=connections))


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
    for member in request.members.values():
        yield from references_in(member.deployment_parameters)
        yield from references_in(member.outputs)
        yield from references_in(member.dependencies)
    for outputs in request.past_steps.values():
        yield from references_in(outputs)


def build_scope(
    request: ClaimedRequest,
    kept: Mapping[UUID, EncryptedValue],
    cipher: Cipher,
    files: SecretFiles,
    *,
    component: str | None = None,
    holds_secrets: bool = True,
    late: Collection[str] = (),
) -> RunScope:
    """Return what the templates of a request's steps see.

    `holds_secrets` is False where nothing in the request refers to a secret. `late`: parameters that
    a bundle fixes for the component, whose values are not known yet.
    Raises SecretUnreadable, and StepFailed where a bundle fixes what its component cannot take.
    """
    clear = {
        id_: cipher.decrypt(secret.ciphertext, secret.purpose, secret.key_id)
        for id_, secret in kept.items()
    }
    document = part_of(request.plan, component).get("document") or {}
    secret_scope = files.scope(document.get("owner", ""), document.get("path"))
    names = template_names(request, component)
    if holds_secrets:
        names = in_clear(names, clear)
    member = None
    if component is not None and request.request_type == "create":
        bundle = in_clear(template_names(request), clear)
        judged = judge(request, component, bundle, clear, cipher, late=late)
        names |= {**judged.values, "parameters": listed(judged.values)}
        member = judged.kept
    names["secrets"] = secret_scope
    return RunScope(names, secret_scope, clear, member)
