"""Every sentence that we say in Slack: what happened, why, and what to do next.

Sentences come out as safe markup; what is marked *plain* goes into plain_text objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.messages.approvals import approvers_in_words, waiting
from bot.messages.blocks import section
from bot.messages.text import authored, code, code_block, escaped, link, moment
from bot.messages.values import by_component, count
from engine import (
    ApprovalView,
    CatalogChange,
    FieldError,
    PaoError,
    RequestView,
    SyncReport,
)

# Forms. These are plain text.

SUBMIT: Final = "Submit"
NEXT: Final = "Next"
BACK: Final = "Back"
CANCEL: Final = "Cancel"
CLOSE: Final = "Close"
INSTANCE_NAME: Final = "Instance name"
TEAM: Final = "Team"
CHOOSE_TEAM: Final = "Choose a team"
CHOOSE_SERVICE: Final = "Choose a running service"
CHOOSE_ITEM: Final = "Search the catalog"
APPROVE: Final = "Approve"
REJECT: Final = "Reject"
GO_BACK: Final = "Go back"
START_ANEW: Final = "Start anew"
OPEN_FORM: Final = "Open form"
LOADING: Final = "One moment …"
SECRET_KEPT: Final = "Kept as you entered it; type to replace it"
STILL_WORKING: Final = "Your request is being checked. This takes a little longer than usual."
NOT_DRAWN: Final = "This could not be shown. A direct message from me says more."
DONE: Final = "Done. You can close this window."

NOTHING_ASKED: Final = "Nothing is asked. Press *Submit* to go ahead."


def instance_name_hint(title: str) -> str:
    """Plain."""
    return f"What this {title} is called from now on. Left empty, it gets a name and a number."


def connect_to(name: str) -> str:
    """Plain."""
    return f"Connect to: {name}"


def team_is(team: str) -> str:
    """Tell whose the service will be, where there is no choice."""
    return f"For team *{escaped(team, 200)}*"


def page_number(at: int, count: int) -> str:
    """Tell where one is in a long form."""
    return f"Page {at} of {count}. What you entered is kept from page to page."


def deprecated(title: str, replaced_by: str | None) -> str:
    """Warn of an item that gets no new instances for long."""
    instead = f" Use {code(replaced_by)} instead." if replaced_by else ""
    return f":warning: *{escaped(title, 200)}* is deprecated.{instead}"


DRAFT: Final = ":pencil: You have a draft: this is what you had entered. Secrets are not kept."
EXPIRED_FORM: Final = (
    ":hourglass: This form was open for too long, and what it held is gone. Please enter it again."
)
MORE_IS_ASKED: Final = ":point_down: Because of your answers a little more is asked."
DOUBLE_TRIGGER: Final = (
    "Slack lets a form open only within three seconds of your click, and that time is over. "
    "Nothing is lost: press the button."
)
SLACK_IS_BUSY: Final = (
    ":hourglass: Slack takes no more from this bot for the moment, because many people use it at "
    "once. Nothing was done; please try again in a minute."
)
SLACK_IS_AWAY: Final = (
    ":hourglass: Slack does not do what this bot asks of it at the moment, so this could not be "
    "shown. Please try again in a minute."
)
OLD_VIEW: Final = (
    "This window was made by an earlier release of the bot, so what you entered could not be "
    "taken. Please open it again with `/pao`."
)
OLD_BUTTON: Final = (
    "This button was made by an earlier release of the bot and does nothing any more. "
    "`/pao help` shows what there is now."
)


UNKNOWN_COMMAND: Final = (
    "This bot does not know that command. Its own is `/pao`; `/pao help` shows what it can do."
)
LINK: Final = "link"
"""action_id of buttons that only open an address."""


def not_accepted(errors: Sequence[FieldError]) -> str:
    """List what is wrong with fields that are not on this page."""
    lines = [f"• {code(error.field)}: {escaped(error.message, 300)}" for error in errors[:10]]
    return ":warning: Please mend this first:\n" + "\n".join(lines)


def told_elsewhere(view: RequestView) -> str:
    """Confirm a submission whose card stands in another channel."""
    where = f" <#{view.channel}> has its card and its thread." if view.channel else ""
    return (
        f":white_check_mark: {code(view.request_id)} is on its way: "
        f"*{escaped(view.title, 200)}*.{where}"
    )


# Requests


def goes_on(view: RequestView) -> str:
    """Confirm a retry, a resume, a skip or a resolve; what was changed may need an approval first."""
    if view.status == "failed" and (due := waiting(view)):
        return (
            f":raised_hand: {code(view.request_id)} goes on once it is approved by "
            f"{approvers_in_words(due[0].approvers)}. Its thread asks them."
        )
    return (
        f":arrows_counterclockwise: {code(view.request_id)} goes on: "
        f"*{escaped(view.title, 200)}*. Its thread tells how."
    )


def cancelled(view: RequestView) -> str:
    """Confirm a cancellation."""
    return f":no_entry_sign: {code(view.request_id)} is cancelled. Nothing was made."


def aborted(view: RequestView) -> str:
    """Confirm an abort."""
    return (
        f":octagonal_sign: {code(view.request_id)} is aborted. "
        "Its thread tells what is left to clean up."
    )


def ask_approvers(due: ApprovalView) -> str:
    """Refuse a decision, and say whose it is."""
    return (
        f":no_entry: You may not decide on this. It is for {approvers_in_words(due.approvers)}. "
        "Ask one of them; whoever asked for it cannot approve it, unless the catalog says so."
    )


def approved(view: RequestView) -> str:
    """Confirm an approval."""
    left = [one.needed - one.given for one in view.approvals if one.status == "waiting"]
    rest = f" It waits for {sum(left)} more." if left else " It goes on."
    return f":white_check_mark: You approved {code(view.request_id)}.{rest}"


def rejected(view: RequestView) -> str:
    """Confirm a rejection."""
    return (
        f":no_entry_sign: You rejected {code(view.request_id)}; its thread tells the requester why."
    )


NO_LOGS: Final = "(nothing was logged)"


def logs_of(step: str) -> str:
    """Head a log."""
    return f"*Log of {escaped(step, 200)}* (its end)"


def secrets(values: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Show secret outputs; only the owner sees the message, and nobody else can."""
    lines = [
        f"*{escaped(key, 100)}*\n{code_block(str(value), 1500)}"
        for key, value in by_component(values).items()
    ]
    warning = ":lock: Only you can see this. It is gone when you reload Slack; it was audited."
    return "Secret outputs", [section(text) for text in (warning, *lines[:40])]


# The catalog and the engine


def synced(report: SyncReport) -> str:
    """Sum a sync up: what changed, what failed, and where its host on the web shows the difference."""
    if report.status == "failed":
        reason = escaped(report.error_message or "unknown", 1500)
        return (
            f":x: The catalog could not be synced: {reason}\n"
            "The last good catalog stays in service."
        )
    page = f" {link(report.compare_url, 'What changed')}" if report.compare_url else ""
    told = [f":books: The catalog is at {code((report.commit or '–')[:12])}.{page}"]
    told += [_change(change) for change in report.changes[:20]]
    more = len(report.changes) - 20
    if more > 0:
        told.append(f"… and {more} more changes")
    if not report.changes:
        told.append("Nothing has changed.")
    told += [_sync_error(error) for error in report.errors[:10]]
    if len(report.errors) > 10:
        told.append(f"… and {len(report.errors) - 10} more errors")
    return "\n".join(told)


def change_in_words(change: CatalogChange) -> str:
    """Return what a sync did to one document."""
    return _changed(change.name, change.change, change.from_version, change.to_version)


def _changed(name: str, change: str, was: str | None, is_now: str | None) -> str:
    versions = f" {was} → {is_now}" if was and is_now else f" {is_now or was or ''}"
    icons = {"added": ":new:", "updated": ":up:", "removed": ":wastebasket:"}
    return f"{icons.get(change, '•')} {code(name)}{escaped(versions, 200)}"


def _change(change: Mapping[str, Any]) -> str:
    name, kind = str(change.get("name")), str(change.get("change"))
    return _changed(name, kind, change.get("from_version"), change.get("to_version"))


def _sync_error(error: Mapping[str, Any]) -> str:
    line = f":{error['line']}" if error.get("line") else ""
    place = code(f"{error.get('file', '?')}{line}")
    return f":warning: {place} {escaped(str(error.get('message', '')), 300)}"


def stats(numbers: Mapping[str, Any]) -> str:
    """Return the catalog in numbers: documents, categories, what is asked for most, the last syncs."""
    parts = {
        "Documents": [
            f"{one['count']} {one['kind']}"
            + f" ({one['lifecycle']})" * (one["lifecycle"] != "active")
            for one in numbers["documents"]
        ],
        "Categories": [f"{one['category']} {one['count']}" for one in numbers["categories"]],
        "Most requested": [
            f"{one['name']} {count(one['requests'], 'time')}"
            + f", {one['failed']} failed" * bool(one["failed"])
            for one in numbers["most_requested"]
        ],
    }
    told = [
        f"• {title}: {escaped('; '.join(lines), 1000) or 'none yet'}"
        for title, lines in parts.items()
    ]
    told += [
        f"• Sync of {moment(sync['sync_started_at'])}: {escaped(sync['status'], 50)}, "
        f"{count(sync['error_count'], 'error')}"
        for sync in numbers["syncs"]
    ]
    return "\n".join(["*The catalog in numbers*", *told])


PAUSED: Final = (
    ":double_vertical_bar: Paused: nothing new is started. What runs goes on, and requests are taken. "
    "`/pao unpause` starts again."
)
UNPAUSED: Final = ":arrow_forward: Started again: what is due is being started."


# Errors


def error(problem: PaoError) -> str:
    """Say an error of PAO: what happened, why, and what to do."""
    cause = authored(_sentence(problem.what, problem.why), 2000)
    remedy = f"\n{authored(_sentence(problem.do), 800)}" if problem.do else ""
    return f":warning: {cause}{remedy}"


def unexpected(incident: str) -> str:
    """Say that something broke that nobody foresaw; the log has it under the id."""
    return (
        ":boom: Something went wrong inside the bot, and your action may not have been carried "
        f"out. Look with `/pao requests` before you try again, and tell an admin {code(incident)}: "
        "the log says more under that id."
    )


def not_allowed(problem: PaoError) -> str:
    """Refuse a click, and say whom to ask."""
    return f":no_entry: {authored(_sentence(problem.what, problem.why), 1500)}" + (
        f"\n{authored(_sentence(problem.do), 800)}" if problem.do else ""
    )


def _sentence(*parts: str) -> str:
    text = ": ".join(part.strip().rstrip(".") for part in parts if part.strip())
    return text if text.endswith(("!", "?")) else text + "."
