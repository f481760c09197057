"""The step type TerraformFile: one attempt from an empty folder to outputs."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from engine.errors import ConfigurationError, StepFailed
from engine.foreign_json import parse_json
from engine.steps.base import Completed, Foreseen, Outcome, StepContext, Waiting
from engine.steps.services import StepServices
from engine.steps.templates import read_template
from engine.steps.terraform.environment import (
    child_environment,
    find_binary,
    make_folders,
    remove_folders,
    remove_left_behind,
)
from engine.steps.terraform.failure import LOCKED, failure, is_another_being_made, is_locked
from engine.steps.terraform.module import (
    Source,
    module_source,
    write_outputs,
    write_root_module,
)
from engine.steps.terraform.orphans import end_orphans
from engine.steps.terraform.plan import Plan, read_drift, read_plan
from engine.steps.terraform.plugin_cache import plugin_cache
from engine.steps.terraform.process import CHUNK, INTERRUPT_GRACE, Finished, Program
from engine.steps.terraform.state import read_outputs, read_resources
from engine.steps.terraform.template import TerraformTemplate, is_end, workspace_name

LOCK_TIMEOUT = "5s"
"""How long one command waits for the state's lock; a longer wait holds no process."""

LOCK_DELAY = 15.0
LOCK_WAITS = 240
"""Seconds between two tries on a locked state, and how many: an hour in all."""

SELECT_TRIES = 50
SELECT_DELAY = 0.5
"""How often a workspace is tried to be made, and the longest wait between (seconds)."""

LARGEST_DOCUMENT = 64 << 20
"""Bytes of a plan or a state as JSON."""

COMMON = ("-input=false", "-no-color")
LOCKING = (*COMMON, f"-lock-timeout={LOCK_TIMEOUT}")
UNLOCKED = (*COMMON, "-lock=false")
PLAN_FILE = "plan.tfplan"

UNTOUCHED: Final = "untouched"
"""Key of what a step remembers: whether none of its attempts has ever begun to change anything."""

LOOK_GRACE = 1.0
"""Seconds that a terraform which changes nothing has to end: there is nothing to save."""

NOTHING = Plan((), {}, None)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one attempt works with."""

    context: StepContext
    template: TerraformTemplate
    source: Source
    workspace: str
    program: Program

    @property
    def destroys(self) -> bool:
        """Whether the step takes down instead of making."""
        return self.template.destroys(self.context)


class TerraformFile:
    """Applies a module, or destroys what one made."""

    name: ClassVar[str] = "TerraformFile"
    template_model: ClassVar[type[BaseModel]] = TerraformTemplate
    verifications: ClassVar[frozenset[str]] = frozenset(
        {"terraform_state", "resource_health", "configuration_check"}
    )
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._services = services

    async def start(self, context: StepContext) -> Outcome:
        """Plan and apply. Called again after any death it goes on from what the state holds."""
        async with self._attempt(context) as attempt:
            await self._init(attempt)
            await _select_workspace(attempt)
            try:
                plan = await _plan(attempt)
            except StepFailed:
                if not (attempt.destroys and await _is_empty(attempt.program)):
                    raise
                return await _nothing_to_destroy(attempt)
            if plan is None:
                return _wait_for_lock(context)
            if not await _apply(attempt, plan):
                return _wait_for_lock(context)
            return await _completed(attempt, plan)

    async def poll(self, context: StepContext) -> Outcome:
        """Try again: the state was locked."""
        return await self.start(context)

    async def cancel(self, context: StepContext) -> None:
        """End what a lost worker may have left running on this machine."""
        template = read_template(TerraformTemplate, context.template)
        await end_orphans(_mark(context, await self._state_address(template)))

    async def drift(self, context: StepContext) -> Sequence[str] | None:
        """Return the resources that are not as they were applied; changes nothing.

        None where somebody else has the state's lock.
        """
        async with self._attempt(context) as attempt:
            await self._init(attempt)
            await _select_workspace(attempt)
            arguments = ("-json", *LOCKING, "-refresh-only", f"-out={PLAN_FILE}")
            finished = await attempt.program.run("plan", *arguments)
            if is_locked(finished):
                return None
            _check("plan", finished)
            return read_drift(await _document(attempt.program, "show", "-json", PLAN_FILE))

    async def foresee(self, context: StepContext) -> Foreseen:
        """Plan against the state as it is, without a lock; what has none is planned on an empty one."""
        try:
            find_binary(self._services.terraform_bin)
        except StepFailed as missing:
            return Foreseen(None, why_unknown=str(missing))
        template = read_template(TerraformTemplate, context.template)
        if context.request_type != "create":
            async with self._attempt(context, template, looks=True) as attempt:
                await self._init(attempt)
                if await _has_workspace(attempt):
                    await _select_workspace(attempt)
                    return await _foreseen(attempt)
                if attempt.destroys:
                    return Foreseen(NOTHING.summary())
        empty = {"type": "local", "path": str(context.work_dir / "empty.tfstate")}
        template = template.model_copy(update={"backend_config": empty})
        async with self._attempt(context, template, looks=True) as attempt:
            await self._init(attempt)
            await _select_workspace(attempt)
            return await _foreseen(attempt)

    @asynccontextmanager
    async def _attempt(
        self,
        context: StepContext,
        template: TerraformTemplate | None = None,
        *,
        looks: bool = False,
    ) -> AsyncIterator[_Attempt]:
        """Give an attempt its folders. One that only looks ends nobody else's processes."""
        template = template or read_template(TerraformTemplate, context.template)
        binary = find_binary(self._services.terraform_bin)
        workspace = workspace_name(template, context)
        source = module_source(template, self._services.terraform_module_allow)
        pg_dsn = await self._state_address(template)
        mark = "" if looks else _mark(context, pg_dsn)
        if mark and (ended := await end_orphans(mark)):
            await context.log(f"Ended {ended} processes that a lost worker had left running\n")
        await asyncio.to_thread(
            remove_left_behind, context.external.get("folder"), context.work_dir
        )
        folders = await asyncio.to_thread(make_folders, context.work_dir)
        try:
            await context.remember(
                {
                    "workspace": workspace,
                    "folder": str(folders.whole),
                    UNTOUCHED: context.external.get(UNTOUCHED, "workspace" not in context.external),
                }
            )
            await write_root_module(
                folders.root,
                template,
                source,
                context.config.get("commit") or context.catalog_commit,
                self._services.export_module,
            )
            environment = child_environment(folders, mark, self._plugins, pg_dsn)
            grace = LOOK_GRACE if looks else INTERRUPT_GRACE
            program = Program(binary, folders.root, environment, context.log, grace)
            yield _Attempt(context, template, source, workspace, program)
        finally:
            await asyncio.to_thread(remove_folders, folders)

    async def _init(self, attempt: _Attempt) -> None:
        program = attempt.program
        async with plugin_cache(self._plugins) as lock:
            _check("init", await program.run("init", "-json", *COMMON, pass_fds=(lock,)))
        await write_outputs(program.folder, attempt.source)

    async def _state_address(self, template: TerraformTemplate) -> str | None:
        """Return where PAO keeps states; None where the document names another backend."""
        if template.backend_config:
            return None
        if self._services.terraform_dsn is None:
            raise StepFailed(
                "no_state_backend",
                "There is no place for Terraform's state",
                kind="permanent",
                do="Name one in backend_config",
            )
        try:
            return await self._services.terraform_dsn()
        except ConfigurationError as error:
            raise StepFailed("no_state_backend", str(error), kind="permanent") from error

    @property
    def _plugins(self) -> Path:
        return self._services.data_dir / "terraform" / "plugins"


async def _select_workspace(attempt: _Attempt) -> None:
    """Select the workspace, made when there is none; others may be making theirs."""
    select = ("workspace", "select", "-no-color", "-or-create", attempt.workspace)
    for _ in range(SELECT_TRIES):
        finished = await attempt.program.read(*select, largest=CHUNK)
        if not is_another_being_made(finished):
            break
        await asyncio.sleep(random.uniform(0.05, SELECT_DELAY))  # noqa: S311
    _check("workspace select", finished)


async def _has_workspace(attempt: _Attempt) -> bool:
    """Whether the workspace is there; makes none."""
    finished = await attempt.program.read(
        "workspace", "list", "-no-color", largest=LARGEST_DOCUMENT
    )
    _check("workspace list", finished)
    listed = finished.output.decode("utf-8", "replace").splitlines()
    return attempt.workspace in {line.removeprefix("*").strip() for line in listed}


async def _plan(attempt: _Attempt) -> Plan | None:
    """Plan into a file and judge it; None where somebody else has the state's lock."""
    plan = await _planned(attempt, LOCKING)
    if plan is None:
        return None
    await attempt.context.tell("step.plan", plan.summary())
    _refuse(attempt, plan)
    return plan


async def _foreseen(attempt: _Attempt) -> Foreseen:
    """Plan without the lock, and say what would become of the plan."""
    try:
        plan = await _planned(attempt, UNLOCKED) or NOTHING
    except StepFailed:
        if not (attempt.destroys and await _is_empty(attempt.program)):
            raise
        plan = NOTHING
    try:
        _refuse(attempt, plan)
    except StepFailed as refusal:
        return Foreseen(plan.summary(), refusal=refusal)
    return Foreseen(plan.summary())


async def _planned(attempt: _Attempt, locking: Sequence[str]) -> Plan | None:
    program = attempt.program
    destroy = ("-destroy",) if attempt.destroys else ()
    arguments = ("-json", *locking, "-detailed-exitcode", f"-out={PLAN_FILE}", *destroy)
    finished = await program.run("plan", *arguments)
    if is_locked(finished):
        return None
    _check("plan", finished, accepted=(0, 2))
    return read_plan(await _document(program, "show", "-json", PLAN_FILE))


def _refuse(attempt: _Attempt, plan: Plan) -> None:
    """Raise StepFailed where the plan does what the document was not declared to do.

    A template's own `destroy` declares nothing: it may hang on what somebody entered.
    """
    is_asked_for = attempt.destroys and is_end(attempt.context)
    if not attempt.context.destructive and not is_asked_for:
        plan.refuse_destruction()
        plan.refuse_other_module(attempt.source.address)


async def _apply(attempt: _Attempt, plan: Plan) -> bool:
    """Apply the plan, whatever it holds (a plan without changes costs nothing); False if locked."""
    if any(plan.summary().values()):
        await attempt.context.remember({UNTOUCHED: False})
    await attempt.context.check_lease()
    finished = await attempt.program.run("apply", "-json", *LOCKING, PLAN_FILE)
    if is_locked(finished):
        return False
    _check("apply", finished)
    return True


async def _completed(attempt: _Attempt, plan: Plan) -> Completed:
    outputs = read_outputs(await _document(attempt.program, "output", "-json"), _config(attempt))
    return Completed(
        outputs=outputs.values,
        sensitive=outputs.sensitive,
        resources=read_resources(await _document(attempt.program, "show", "-json")),
        evidence={
            "plan": plan.summary(),
            "variables": plan.variables,
            "workspace": attempt.workspace,
        },
    )


def _config(attempt: _Attempt) -> Mapping[str, Any]:
    """Return what names the outputs; what was destroyed has none."""
    return {} if attempt.destroys else attempt.context.config


async def _is_empty(program: Program) -> bool:
    """Whether the state holds nothing; the plan was tried before, so nobody has its lock.

    A create that failed early made nothing, and may not give the variables that a plan needs.
    """
    return not read_resources(await _document(program, "show", "-json"))


async def _nothing_to_destroy(attempt: _Attempt) -> Completed:
    plan = NOTHING
    await attempt.context.tell("step.plan", plan.summary())
    await attempt.context.log("The state is empty: there is nothing to destroy\n")
    evidence = {"plan": plan.summary(), "variables": {}, "workspace": attempt.workspace}
    return Completed(resources=(), evidence=evidence)


async def _document(program: Program, *arguments: str) -> Mapping[str, Any]:
    finished = await program.read(*arguments, largest=LARGEST_DOCUMENT + 1)
    _check(arguments[0], finished)
    if len(finished.output) > LARGEST_DOCUMENT:
        raise StepFailed(
            "terraform_failed",
            f"terraform {arguments[0]} printed more than {LARGEST_DOCUMENT} bytes",
            kind="permanent",
        )
    try:
        document = await asyncio.to_thread(parse_json, finished.output)
    except ValueError as error:
        raise StepFailed(
            "terraform_failed", f"terraform {arguments[0]} printed no JSON: {error}"
        ) from error
    return document if isinstance(document, Mapping) else {}


def _check(phase: str, finished: Finished, accepted: tuple[int, ...] = (0,)) -> None:
    if finished.exit_code not in accepted:
        raise failure(phase, finished)


def _wait_for_lock(context: StepContext) -> Waiting:
    waits = int(context.external.get("lock_waits") or 0)
    if waits >= LOCK_WAITS:
        raise StepFailed(
            LOCKED,
            "Another process holds the lock of the state",
            kind="transient",
            do="Find and end the process that still runs on this state",
        )
    return Waiting(LOCK_DELAY, {**context.external, "lock_waits": waits + 1})


def _mark(context: StepContext, state_address: str | None) -> str:
    """Return the mark of the step's processes: of this step, of this installation."""
    whole = f"{state_address}\n{context.request_id}\n{context.step_id}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]
