"""`pao doctor`: is everything there that PAO needs, and if not, how to get it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Literal

from bot.cli.command import Invocation, command
from bot.cli.errors import DONE, NO, UNREACHABLE
from engine.errors import PaoError, Unreachable

Verdict = Literal["ok", "warning", "failed", "unreachable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `hint` says what to do unless all is well."""

    check: str
    result: Verdict
    found: str
    hint: str = ""


@command("doctor")
async def doctor(invocation: Invocation) -> int:
    """Check settings, database, tools and Slack; exit 0, 1 (something is missing) or 3."""
    invocation.strict_settings()
    checks: list[Callable[[Invocation], Awaitable[Finding]]] = [
        _python,
        _git,
        _terraform,
        _browser,
        _database,
        _encryption,
        _catalog,
        _slack,
    ]
    findings = [await check(invocation) for check in checks]
    invocation.output.rows(
        [asdict(finding) for finding in findings], ["check", "result", "found", "hint"]
    )
    results = {finding.result for finding in findings}
    return UNREACHABLE if "unreachable" in results else NO if "failed" in results else DONE


async def _python(_: Invocation) -> Finding:
    return Finding("python", "ok", sys.version.split()[0])


async def _git(_: Invocation) -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding("git", "failed", "not on PATH", "Install git; the catalog is read by it")
    return Finding("git", "ok", path)


async def _terraform(invocation: Invocation) -> Finding:
    named = invocation.settings.terraform_bin
    path = shutil.which(named) if named else shutil.which("terraform") or shutil.which("tofu")
    if path is not None:
        return Finding("terraform", "ok", path)
    return Finding(
        "terraform",
        "failed" if named else "warning",
        f"{named or 'terraform or tofu'} is not on PATH",
        "TerraformFile steps need it: install Terraform or OpenTofu, or set PAO_TERRAFORM_BIN",
    )


async def _browser(_: Invocation) -> Finding:
    path = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if path is not None:
        return Finding("browser", "ok", path)
    return Finding(
        "browser",
        "warning",
        "chromium is not on PATH",
        "Only PAO's own browser test needs it: apt install chromium",
    )


async def _encryption(invocation: Invocation) -> Finding:
    settings = invocation.settings
    if settings.encryption_keys:
        return Finding("encryption", "ok", f"{len(settings.encryption_keys)} keys")
    if invocation.database.embedded is not None:
        return Finding("encryption", "ok", f"a key of its own in {settings.data_dir}")
    return Finding(
        "encryption",
        "warning",
        "no keys, so no secret can be kept",
        "Set PAO_ENCRYPTION_KEYS to a Fernet key",
    )


async def _database(invocation: Invocation) -> Finding:
    from engine.store import migrate

    database = invocation.database
    kind = "embedded" if database.embedded else "of PAO_DATABASE_URL"
    try:
        url, _ = await database.ready()
        lines = await migrate.status(url)
    except PaoError as error:
        return _from_error("database", error)
    pending = [line.name for line in lines if line.state == "pending"]
    if pending:
        return Finding(
            "database", "failed", f"{len(pending)} migrations pending", "Run `pao db migrate`"
        )
    return Finding("database", "ok", f"{kind}, schema up to date")


async def _catalog(invocation: Invocation) -> Finding:
    url = invocation.settings.catalog_url
    if url is None:
        return Finding("catalog", "warning", "no repository", "Set PAO_CATALOG_URL")
    return Finding("catalog", "ok", f"{url}, branch {invocation.settings.catalog_branch}")


async def _slack(invocation: Invocation) -> Finding:
    settings = invocation.settings
    if settings.slack_bot_token is None:
        return Finding(
            "slack", "warning", "no token", "Set SLACK_BOT_TOKEN, or try it with `pao demo`"
        )
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        return Finding(
            "slack",
            "failed",
            "neither an app token nor a signing secret",
            "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP",
        )
    return await asyncio.to_thread(_ask_slack, invocation)


def _ask_slack(invocation: Invocation) -> Finding:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    settings = invocation.settings
    token = settings.slack_bot_token
    client = WebClient(
        token.get_secret_value() if token else None,
        base_url=settings.slack_api_url or WebClient.BASE_URL,
        timeout=10,
    )
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        return Finding(
            "slack", "failed", f"Slack says {error.response['error']}", "Check the bot token"
        )
    except OSError as error:
        return Finding("slack", "unreachable", str(error), "Check the network and SLACK_API_URL")
    return Finding("slack", "ok", f"{answer['user']} in {answer['team']}")


def _from_error(check: str, error: PaoError) -> Finding:
    result: Verdict = "unreachable" if isinstance(error, Unreachable) else "failed"
    return Finding(
        check, result, f"{error.what}: {error.why}" if error.why else error.what, error.do
    )
