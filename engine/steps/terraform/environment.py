"""What a terraform process sees: an allow-list of our environment, and settings of our own.

Modules and their provisioners read whatever stands here, so our own settings do not.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StepFailed

PASSED = frozenset(
    {
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "KUBECONFIG",
    }
)
PASSED_PREFIXES = (
    "AWS_",
    "ARM_",
    "AZURE_",
    "GOOGLE_",
    "CLOUDSDK_",
    "KUBE_",
    "TF_VAR_",
    "TF_TOKEN_",
)
"""Where the providers' own credentials are looked for; nothing of PAO has these names."""

PREFIX = "terraform-"
"""With which the name of an attempt's folder begins."""

MARK = "PAO_TERRAFORM_STEP"
"""Variable by which the processes of a step are found again, grandchildren included."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The attempt's folders: the root module, and what stands for the home of its processes."""

    whole: Path

    @property
    def root(self) -> Path:
        """The root module, in which terraform runs."""
        return self.whole / "root"

    @property
    def home(self) -> Path:
        """Home and temporary folder of terraform and its children."""
        return self.whole / "home"

    @property
    def cli_config(self) -> Path:
        """The CLI configuration of our own; one that is missing pollutes the output."""
        return self.home / "terraform.rc"


def make_folders(work_dir: Path) -> Folders:
    """Make the folders and the CLI configuration. Blocking; readable for us alone."""
    folders = Folders(Path(tempfile.mkdtemp(prefix=PREFIX, dir=work_dir)))
    for folder in (folders.root, folders.home):
        folder.mkdir(mode=0o700)
    folders.cli_config.write_text("disable_checkpoint = true\n")
    return folders


def remove_folders(folders: Folders) -> None:
    """Remove all of it: plan files, variables and states hold secrets in clear. Blocking."""
    shutil.rmtree(folders.whole, ignore_errors=True)


def remove_left_behind(folder: object, work_dir: Path) -> None:
    """Remove what a lost worker left on this machine, if `folder` is a folder of ours. Blocking."""
    if isinstance(folder, str) and Path(folder).name.startswith(PREFIX):
        left = Path(folder)
        if left.parent.parent == work_dir.parent and ".." not in left.parts:
            shutil.rmtree(left, ignore_errors=True)


def find_binary(setting: str | None) -> str:
    """Return the path of terraform or tofu; StepFailed (permanent) says how to get one."""
    named = [setting] if setting else ["terraform", "tofu"]
    for name in named:
        if path := shutil.which(name):
            return path
    raise StepFailed(
        "terraform_missing",
        f"There is no {' or '.join(named)} on this machine",
        kind="permanent",
        do="Install Terraform or OpenTofu, or name the program in PAO_TERRAFORM_BIN; `pao doctor`"
        " shows what is found",
    )


def child_environment(
    folders: Folders, mark: str, plugin_cache: Path, pg_dsn: str | None
) -> dict[str, str]:
    """Return the whole environment of a terraform process. `pg_dsn`: None for another backend."""
    passed = {name: value for name, value in os.environ.items() if _is_passed(name)}
    return {
        **passed,
        **(pg_backend(pg_dsn) if pg_dsn else {}),
        "HOME": str(folders.home),
        "TMPDIR": str(folders.home),
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(folders.cli_config),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "TF_PLUGIN_CACHE_DIR": str(plugin_cache),
        "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
        MARK: mark,
    }


def pg_backend(dsn: str) -> Mapping[str, str]:
    """Return the variables of Terraform's pg backend: schema and table are there already."""
    return {
        "PG_CONN_STR": dsn,
        "PG_SCHEMA_NAME": "terraform",
        "PG_SKIP_SCHEMA_CREATION": "true",
        "PG_SKIP_TABLE_CREATION": "true",
        "PG_SKIP_INDEX_CREATION": "true",
    }


def _is_passed(name: str) -> bool:
    return name in PASSED or name.startswith(PASSED_PREFIXES)
