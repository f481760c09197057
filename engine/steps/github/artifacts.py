"""What a run left: the names of its artifacts, and `outputs.json` out of one of them."""

from __future__ import annotations

import asyncio
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from engine.errors import StepFailed
from engine.foreign_json import Json, parse_json
from engine.outbound import LARGEST_ANSWER, Response, failure_of
from engine.steps.github.api import Answer, GitHub, refusal

OUTPUTS_ARTIFACT: Final = "outputs"
OUTPUTS_FILE: Final = "outputs.json"

LARGEST_OUTPUTS: Final = 1 << 20
"""Bytes of outputs.json, unpacked."""

LOOKED_INTO: Final = 10
"""How many artifacts are unpacked at most where none is named `outputs`."""

PAGE: Final = 100
PAGES: Final = 10


class Artifact(Answer):
    """An artifact of a run. After a re-run there may be several of one name."""

    id: int
    name: str
    size_in_bytes: int = 0
    expired: bool = False


class _Artifacts(Answer):
    artifacts: tuple[Artifact, ...] = ()


async def artifacts_of(github: GitHub, repository: str, run_id: int) -> list[Artifact]:
    """Return a run's artifacts that can be had, the newest of each name, by name."""
    newest: dict[str, Artifact] = {}
    for page in range(1, PAGES + 1):
        path = f"/actions/runs/{run_id}/artifacts?per_page={PAGE}&page={page}"
        found = (await github.get(_Artifacts, repository, path)).artifacts
        for artifact in found:
            other = newest.get(artifact.name)
            if not artifact.expired and (other is None or other.id < artifact.id):
                newest[artifact.name] = artifact
        if len(found) < PAGE:
            break
    return sorted(newest.values(), key=lambda artifact: artifact.name)


async def read_outputs(
    github: GitHub, repository: str, artifacts: Sequence[Artifact]
) -> Mapping[str, Json]:
    """Return outputs.json of the artifact `outputs`, else of the only one that has it; else {}.

    Raises StepFailed (permanent) where it is too large or no JSON object.
    """
    named = [artifact for artifact in artifacts if artifact.name == OUTPUTS_ARTIFACT]
    if named:
        if named[0].size_in_bytes > LARGEST_ANSWER:
            raise _unusable(f"the artifact {OUTPUTS_ARTIFACT!r} is larger than 1 MiB")
        packed = await _download(github, repository, named[0])
        text = None if packed is None else await asyncio.to_thread(_unpack, packed)
        return {} if text is None else _object(text)
    small = [one for one in artifacts if one.size_in_bytes <= LARGEST_ANSWER][:LOOKED_INTO]
    texts = [text for text in [await _look_into(github, repository, one) for one in small] if text]
    return _object(texts[0]) if len(texts) == 1 else {}


async def _look_into(github: GitHub, repository: str, artifact: Artifact) -> bytes | None:
    """Return the outputs.json of somebody's artifact; one that cannot be read is passed over."""
    try:
        packed = await _download(github, repository, artifact)
        return None if packed is None else await asyncio.to_thread(_unpack, packed)
    except StepFailed as error:
        if error.kind == "permanent":
            return None
        raise


async def _download(github: GitHub, repository: str, artifact: Artifact) -> bytes | None:
    """Return an artifact's zip, None where it is gone.

    The API redirects to a storage of blobs, which must not see our token: asked in two steps. The
    storage is behind the guard, unless it is the API's own host.
    """
    path = f"/actions/artifacts/{artifact.id}/zip"
    response = await github.call("GET", repository, path, follow=False)
    target = response.headers.get("location")
    if response.status in {301, 302, 303, 307, 308} and target:
        where = response.link(target)
        is_own_host = urlsplit(where).hostname == urlsplit(github.url).hostname
        response = await github.outbound.request("GET", where, guarded=not is_own_host)
        if response.status == 410:
            return None
        if error := failure_of(response):
            raise error
        return response.body
    return _direct(response)


def _direct(response: Response) -> bytes | None:
    if response.status == 410:
        return None
    if error := refusal(response):
        raise error
    return response.body


def _unpack(packed: bytes) -> bytes | None:
    """Return outputs.json at a zip's top, None where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if OUTPUTS_FILE not in archive.namelist():
                return None
            with archive.open(OUTPUTS_FILE) as file:
                # Read up to the limit, whatever size the archive claims.
                text = file.read(LARGEST_OUTPUTS + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise _unusable(f"the artifact is not a readable zip: {error}") from error
    if len(text) > LARGEST_OUTPUTS:
        raise _unusable(f"{OUTPUTS_FILE} is larger than 1 MiB")
    return text


def _object(text: bytes) -> Mapping[str, Json]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise _unusable(f"{OUTPUTS_FILE} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _unusable(f"{OUTPUTS_FILE} is not an object")
    return value


def _unusable(why: str) -> StepFailed:
    return StepFailed(
        "outputs_unusable",
        f"The run's outputs cannot be used: {why}",
        kind="permanent",
        do=f"Write a small JSON object to {OUTPUTS_FILE} in the artifact {OUTPUTS_ARTIFACT!r}",
    )
