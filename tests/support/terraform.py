"""Terraform for tests: modules given as text, and states in the test's own database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from engine.errors import NotFound
from engine.outbound import Outbound
from engine.steps.services import StepServices
from engine.steps.terraform import TerraformFile
from engine.store.terraform import terraform_dsn
from tests.support.encryption import KEY
from tests.support.steps import Context

SIZED = """
variable "size" { default = 1 }
resource "terraform_data" "db" { input = var.size }
output "size" { value = terraform_data.db.output }
"""
"""A module with one resource that can be changed in place."""


@dataclass
class Workbench:
    """A TerraformFile step type over one database; `modules` maps paths to files and their text."""

    dsn: str
    folder: Path
    modules: dict[str, Mapping[str, str]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def module(self, text: str, path: str = "modules/db") -> str:
        self.modules[path] = {"main.tf": text}
        return path

    @property
    def step(self) -> TerraformFile:
        async def dsn() -> str:
            return await terraform_dsn(self.dsn, [KEY])

        return TerraformFile(
            StepServices(
                **{
                    "outbound": Outbound(),
                    "export_module": self._export,
                    "data_dir": self.folder / "data",
                    "terraform_dsn": dsn,
                }
                | self.more
            )
        )

    def context(self, template: Mapping[str, Any], **more: Any) -> Context:
        """A context of a step of its own; give `request_id` to go on with an earlier one."""
        given = {"request_id": f"req-{uuid.uuid4().hex}", "work_dir": self.new_folder()} | more
        return Context(template, **given)

    def new_folder(self) -> Path:
        """A folder for one attempt, beside those of the others."""
        folder = self.folder / "attempts" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    async def _export(self, commit: str, path: str, target: Path) -> None:
        if path not in self.modules:
            raise NotFound(f"There is no folder {path} at {commit}")
        for name, text in self.modules[path].items():
            (target / name).write_text(text)

    async def states(self) -> dict[str, str]:
        """What Terraform's table of states holds, by name."""
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            rows = await connection.execute("SELECT name, data FROM terraform.states")
            return dict(await rows.fetchall())
