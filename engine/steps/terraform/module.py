"""The root module that calls the catalog's module, as files in the attempt's folder.

main.tf.json           backend, variables, the call
terraform.tfvars.json  the values: never expressions, whatever a person typed
outputs.tf.json        one output for each of the module's, and which module this is
module/                the module's files at the request's commit
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from engine.errors import InvalidInput, NotFound, PaoError, StepFailed
from engine.foreign_json import dump_json
from engine.steps.services import ExportModule
from engine.steps.terraform.hcl import module_declarations
from engine.steps.terraform.template import TerraformTemplate

P = ParamSpec("P")
T = TypeVar("T")

CALL = "main"
"""Name of the call of the catalog's module in our root module."""

SOURCE_OUTPUT = "pao_module_source"
"""The output by which a state remembers which module made it."""

LOCK_FILE = ".terraform.lock.hcl"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the module comes from: a path in the catalog, or an address that Terraform fetches."""

    address: str
    is_remote: bool


def module_source(template: TerraformTemplate, allow: Sequence[str]) -> Source:
    """Tell a path in the catalog from a remote source that the operator allows.

    StepFailed (permanent) for a remote source that is not allowed and for a path that leads out.
    """
    source = template.module_source.strip()
    if any(_allows(entry, source) for entry in allow):
        return Source(source, is_remote=True)
    if "::" in source or ":" in source or source.startswith(("git@", "github.com/")):
        raise _refused(
            f"The module source {source!r} is not allowed",
            "Ask an operator to add it to PAO_TERRAFORM_MODULE_ALLOW",
        )
    path = source.removeprefix("./").strip("/")
    parts = path.split("/")
    if source.startswith("/") or "\\" in source or not path or {"..", ".", ""} & set(parts):
        raise _refused(
            f"The module path {source!r} leads out of the catalog",
            "Name a folder from the repository's root, like modules/database",
        )
    return Source(path, is_remote=False)


async def write_root_module(
    folder: Path,
    template: TerraformTemplate,
    source: Source,
    commit: str | None,
    export: ExportModule,
) -> None:
    """Write everything but the outputs, which `write_outputs` adds once the module is there."""
    if not source.is_remote:
        await _export(source.address, commit, folder / "module", export)
        declared = await _read_module(module_declarations, folder / "module")
        _check_variables(source, template.given_variables(), declared.variables)
    await asyncio.to_thread(_write_root, folder, template, source)


async def write_outputs(folder: Path, source: Source) -> None:
    """Add an output for each of the module's, sensitive where the module says so. After init."""
    await _read_module(_write_outputs, folder, source)


async def _read_module(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(read, *args, **kwargs)
    except (ValueError, OSError) as error:
        raise StepFailed(
            "module_unreadable", f"The module's files cannot be read: {error}", kind="permanent"
        ) from error


def _check_variables(source: Source, given: Iterable[str], declared: frozenset[str]) -> None:
    """Say it in our words: Terraform would speak of a property of a file that nobody wrote."""
    for name in given:
        if name not in declared:
            close = get_close_matches(name, declared, 1)
            raise StepFailed(
                "unknown_variable",
                f"The module {source.address} has no variable {name!r}",
                details={"variable": name, "variables": sorted(declared)},
                kind="permanent",
                do=f"Did you mean {close[0]!r}?" if close else "",
            )


async def _export(path: str, commit: str | None, target: Path, export: ExportModule) -> None:
    if commit is None:
        raise StepFailed(
            "module_missing",
            "The request names no commit of the catalog to read the module from",
            kind="permanent",
        )
    await asyncio.to_thread(target.mkdir)
    try:
        await export(commit, path, target)
    except StepFailed:
        raise
    except PaoError as error:
        raise StepFailed(
            _WORDS.get(type(error), "module_unreadable"),
            f"The module {path} cannot be used: {error}",
            kind=error.kind,
        ) from error


_WORDS = {NotFound: "module_missing", InvalidInput: "module_refused"}


def _write_root(folder: Path, template: TerraformTemplate, source: Source) -> None:
    variables = template.given_variables()
    call: dict[str, Any] = {name: f"${{var.{name}}}" for name in variables}
    call["source"] = source.address if source.is_remote else "./module"
    settings: dict[str, Any] = {"backend": _backend(template)}
    if template.version and source.is_remote:
        call["version"] = template.version
    elif template.version:
        settings["required_version"] = template.version
    root = {
        "terraform": settings,
        "variable": {name: {} for name in variables},
        "module": {CALL: call},
    }
    _write(folder / "main.tf.json", {key: value for key, value in root.items() if value})
    _write(folder / "terraform.tfvars.json", variables)
    pinned = folder / "module" / LOCK_FILE
    if pinned.is_file():
        shutil.copyfile(pinned, folder / LOCK_FILE)


def _backend(template: TerraformTemplate) -> dict[str, Any]:
    """Return the backend block: ours, whose address is in the environment, or the document's."""
    if not template.backend_config:
        return {"pg": {}}
    config = dict(template.backend_config)
    kind = config.pop("type", "pg")
    if kind == "local" and not str(config.get("path", "")).startswith("/"):
        raise _refused(
            "A local backend in the attempt's folder would be removed with it",
            "Leave backend_config out, or name a backend that every worker can reach",
        )
    return {str(kind): config}


def _write_outputs(folder: Path, source: Source) -> None:
    outputs: dict[str, Any] = {SOURCE_OUTPUT: {"value": source.address.replace("${", "$${")}}
    declared = module_declarations(_module_folder(folder))
    for name, sensitive in declared.outputs.items():
        outputs[name] = {"value": f"${{module.{CALL}.{name}}}", "sensitive": sensitive}
    _write(folder / "outputs.tf.json", {"output": outputs})


def _module_folder(folder: Path) -> Path:
    """Return where init has put the called module."""
    manifest = json.loads((folder / ".terraform/modules/modules.json").read_text("utf-8"))
    (called,) = [one for one in manifest["Modules"] if one["Key"] == CALL]
    return folder / str(called["Dir"])


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.touch(mode=0o600)
    file.write_text(dump_json(content), "utf-8")


def _allows(entry: str, source: str) -> bool:
    """Whether an entry of TERRAFORM_MODULE_ALLOW is the source or a folder above it."""
    entry = entry.strip().rstrip("/")
    rest = source.removeprefix(entry)
    return bool(entry) and source.startswith(entry) and (not rest or rest[0] in "/?")


def _refused(message: str, do: str) -> StepFailed:
    return StepFailed("module_refused", message, kind="permanent", do=do)
