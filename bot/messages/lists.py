"""Lists and details: catalog, requests, services. A page of ten, with the way to the next."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bot.messages.blocks import (
    Block,
    Message,
    actions,
    button,
    columns,
    divider,
    header,
    section,
)
from bot.messages.card import SERVICE, STATUS, standing
from bot.messages.notices import error
from bot.messages.service import service_heading
from bot.messages.text import authored, code, escaped, mention, moment, one_line
from engine import (
    AuditEntry,
    CatalogDetails,
    CatalogEntry,
    ComponentOutline,
    InstanceSummary,
    Page,
    PaoError,
    RequestSummary,
)

PAGE_SIZE: Final = 10
"""Entries of a page: an entry of the catalog takes three of a message's fifty blocks."""

REQUEST: Final = "catalog_request"
DETAILS: Final = "catalog_details"
TURN: Final = "list_page"


@dataclass(frozen=True, slots=True)
class Query:
    """What a list shows; goes into the paging buttons, so a page can be turned in place."""

    what: str
    """catalog, requests, services or audit."""
    text: str | None = None
    scope: str = "mine"
    category: str | None = None
    tag: str | None = None
    owner: str | None = None
    status: str | None = None
    cursor: str | None = None

    def packed(self, cursor: str | None = None) -> str:
        """Return the query of another page as a button's value."""
        told = {**asdict(self), "cursor": cursor}
        return json.dumps({key: value for key, value in told.items() if value})

    @classmethod
    def unpacked(cls, text: str) -> "Query":
        """Read a button's value; ValueError where it is of another release."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError("the button is of another release") from error


def catalog(page: Page[CatalogEntry], query: Query) -> Message:
    """Return a page of the catalog; each entry has Request and Details."""
    if not page.items:
        return _nothing(
            "Nothing in the catalog fits. Try fewer words, or `/pao catalog` for all of it."
        )
    blocks = [header("Catalog")]
    for entry in page.items:
        blocks += _entry(entry)
    return "Catalog", [*blocks, *_turning(query, page.next_cursor)]


def near(unknown: PaoError, offered: Sequence[tuple[CatalogEntry, Block]]) -> Message:
    """Return what is near a name that nobody knows; each entry with its button."""
    told = error(unknown)
    blocks = [section(_entry_in_short(entry), accessory=opening) for entry, opening in offered]
    return told, [section(told), *blocks]


def requests(page: Page[RequestSummary], query: Query) -> Message:
    """Return a page of requests, newest first."""
    if not page.items:
        return _nothing(
            "No requests here. `/pao catalog` shows what can be ordered; "
            "`/pao requests all` lists all that you may see."
        )
    blocks = [header("Requests"), *(_request(one) for one in page.items)]
    return "Requests", [*blocks, *_turning(query, page.next_cursor)]


def services(page: Page[InstanceSummary], query: Query) -> Message:
    """Return a page of service instances."""
    if not page.items:
        return _nothing(
            "No services here. `/pao catalog` shows what can be ordered; "
            "`/pao services all` lists all that you may see."
        )
    blocks = [header("Services"), *(_service(one) for one in page.items)]
    return "Services", [*blocks, *_turning(query, page.next_cursor)]


def audit(page: Page[AuditEntry], query: Query) -> Message:
    """Return a page of the audit log, newest first."""
    if not page.items:
        return _nothing("The audit log has nothing of this. `/pao audit` shows all of it.")
    blocks = [header("Audit log"), *(section(_audited(one)) for one in page.items)]
    return "Audit log", [*blocks, *_turning(query, page.next_cursor)]


def details(found: CatalogDetails, fields: Sequence[tuple[str, str]]) -> list[Block]:
    """Return what there is to know of a document; `fields` are (label, type) of what it asks."""
    entry = found.entry
    blocks = [
        section(_entry_heading(entry)),
        *columns(list(_facts(entry))),
    ]
    if entry.description:
        blocks.insert(1, section(authored(entry.description, 2900)))
    if fields:
        asked = "\n".join(f"• {escaped(label, 150)} ({kind})" for label, kind in fields[:15])
        more = f"\n… and {len(fields) - 15} more" if len(fields) > 15 else ""
        blocks.append(section(f"*It asks for*\n{asked}{more}"))
    if found.dependencies:
        needed = "\n".join(f"• {_dependency_rule(one)}" for one in found.dependencies[:10])
        blocks.append(section(f"*It connects to*\n{needed}"))
    if found.components:
        held = "\n".join(f"• {_component(one)}" for one in found.components[:30])
        more = f"\n… and {len(found.components) - 30} more" if len(found.components) > 30 else ""
        blocks.append(section(f"*It is made of*\n{held}{more}"))
    if found.bundles:
        names = ", ".join(code(str(bundle["name"])) for bundle in found.bundles[:20])
        blocks.append(section(f"*It is part of*\n{names}"))
    if entry.kind in {"CatalogItem", "CatalogBundle"}:
        blocks += actions(button("Request", REQUEST, entry.name, style="primary"))
    return blocks


def _component(one: ComponentOutline) -> str:
    known = [] if one.name == one.catalog_item else [code(one.catalog_item, 40)]
    optional = [] if one.is_required else ["optional"]
    words = ", ".join([*known, *optional])
    return f"{code(one.name, 40)} ({words})" if words else code(one.name, 40)


def _entry(entry: CatalogEntry) -> Iterator[Block]:
    yield section(_entry_in_short(entry))
    requestable = entry.kind in {"CatalogItem", "CatalogBundle"}
    yield from actions(
        *([button("Request", REQUEST, entry.name, style="primary")] if requestable else ()),
        button("Details", DETAILS, f"{entry.kind} {entry.name}"),
    )


def _entry_in_short(entry: CatalogEntry) -> str:
    words = f"\n{escaped(one_line(entry.description), 300)}" if entry.description else ""
    return _entry_heading(entry) + words


def _entry_heading(entry: CatalogEntry) -> str:
    icon = f":{escaped(one_line(entry.icon.strip(':')), 100)}: " if entry.icon else ""
    deprecated = ""
    if entry.lifecycle == "deprecated":
        instead = f", use {code(entry.replaced_by)}" if entry.replaced_by else ""
        deprecated = f" · :warning: deprecated{instead}"
    return (
        f"{icon}*{escaped(one_line(entry.display_name), 200)}*  {code(entry.name, 260)} "
        f"{escaped(entry.version, 100)}{deprecated}"
    )


def _facts(entry: CatalogEntry) -> Iterator[str]:
    yield f"*Owner*\n{escaped(entry.owner, 200)}"
    if entry.category:
        yield f"*Category*\n{escaped(entry.category, 200)}"
    if entry.tags:
        yield f"*Tags*\n{escaped(', '.join(entry.tags), 500)}"


def _dependency_rule(dependency: Mapping[str, Any]) -> str:
    version = f" {dependency['version']}" if dependency.get("version") else ""
    need = "" if dependency.get("required", True) else " (optional)"
    return f"{code(str(dependency['catalog_item']))}{escaped(version, 100)}{need}"


def _request(one: RequestSummary) -> Block:
    icon, words = standing(one)
    starts = ""
    if one.stands == "scheduled" and one.not_before is not None:
        starts = f" · starts {moment(one.not_before)}"
    return section(
        f"{icon} *{escaped(one_line(one.title), 200)}* {words}\n"
        f"{code(one.request_id)} · {mention(one.requester)} · {moment(one.created_at)}{starts}",
        accessory=button("Status", STATUS, one.request_id),
    )


def _service(one: InstanceSummary) -> Block:
    due = ""
    if one.operations_due:
        names = ", ".join(escaped(one_line(name), 100) for name in one.operations_due[:3])
        more = len(one.operations_due) - 3
        due = f"\n:sparkles: due: {names}{f' and {more} more' if more > 0 else ''}"
    heading = service_heading(one, one.catalog_name)
    return section(heading + due, accessory=button("Details", SERVICE, one.instance_id))


def _audited(one: AuditEntry) -> str:
    of_what = f" {code(one.target)}" if one.target else ""
    reason = f": {escaped(one_line(one.reason), 500)}" if one.reason else ""
    outcome = "" if one.outcome == "done" else f" *{one.outcome}*"
    return f"{moment(one.at)} {mention(one.actor)} {code(one.action)}{of_what}{outcome}{reason}"


def _turning(query: Query, next_cursor: str | None) -> Iterator[Block]:
    turning = []
    if query.cursor:
        turning.append(button("First page", TURN + ":first", query.packed()))
    if next_cursor:
        turning.append(button("Next page", TURN + ":next", query.packed(next_cursor)))
    if turning:
        yield divider()
        yield from actions(*turning)


def _nothing(text: str) -> Message:
    return text, [section(text)]
