"""The rules of what every document begins with: owner, dependencies, access, lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.catalog import fields as f
from engine.catalog.checks.subject import Subject
from engine.catalog.conditions import same
from engine.catalog.documents import Access, Limit, slugify
from engine.catalog.findings import Path

LONGEST_CATEGORY = 100
"""Characters of a category, as the database keeps it."""


def check_header(subject: Subject) -> None:
    """Check the header of a document."""
    document = subject.document
    if subject.owner is None:
        message = "'owner' is missing, and the category gives none"
        subject.error("missing-key", ("owner",), message, allowed="the name of a team")
    if subject.category is not None and len(subject.category) > LONGEST_CATEGORY:
        message = f"the category, the folder's name, has more than {LONGEST_CATEGORY} characters"
        subject.error("too-long", (), message)
    if not document.description:
        subject.warn("no-description", ("description",), "the document has no description")
    subject.duplicates(
        [(d.key, ("dependencies", i, "name")) for i, d in enumerate(document.dependencies)],
        "dependency",
    )
    if document.replaced_by is not None and slugify(document.replaced_by) == document.slug:
        subject.error("self-reference", ("replaced_by",), "a document cannot replace itself")
    if document.replaced_by is not None and document.lifecycle == "active":
        message = "replaced_by is shown only for deprecated and retired documents"
        subject.warn("no-effect", ("replaced_by",), message)
    if document.access is not None:
        _check_access(subject, document.access)


def _check_access(subject: Subject, access: Access) -> None:
    for index, limit in enumerate(access.limits or ()):
        path: Path = ("access", "limits", index)
        if not limit.teams and not limit.usergroups:
            subject.error("missing-key", (*path, "teams"), "a limit names teams or usergroups")
        if not limit.fields and limit.max_active is None:
            subject.error("missing-key", (*path, "fields"), "a limit narrows fields or max_active")
        _check_limited_fields(subject, path, limit)
    _check_limits_together(subject, access.limits or ())


def _check_limits_together(subject: Subject, limits: Sequence[Limit]) -> None:
    """Check that several limits for one team leave it something: they hold together."""
    left: dict[tuple[str, str], list[Any]] = {}
    for index, limit in enumerate(limits):
        for name, values in (limit.fields or {}).items():
            emptied = []
            for group in dict.fromkeys((*(limit.teams or ()), *(limit.usergroups or ()))):
                before = left.get((group, name))
                now = [v for v in values if before is None or any(same(v, one) for one in before)]
                left[group, name] = now
                if before and values and not now:
                    emptied.append(group)
            if emptied:
                message = f"with the limits before, no value of {name!r} is left for {emptied[0]}"
                place = ("access", "limits", index, "fields", name)
                subject.error("empty-limit", place, message)


def _check_limited_fields(subject: Subject, path: Path, limit: Limit) -> None:
    known = {spec.name: (place, spec) for place, spec in subject.placed}
    for name, values in (limit.fields or {}).items():
        place = (*path, "fields", name)
        found, spec = known.get(name, ((), None))
        if spec is None:
            subject.unknown("unknown-field", place, "field", name, known)
        elif not values:
            subject.error("empty-limit", place, f"no value of {name!r} is left for these teams")
        elif isinstance(spec, f.SelectionField | f.MultiselectField):
            is_known = not spec.options_from and subject.knows_options(found)
            for index, value in enumerate(values if is_known else ()):
                if not any(same(option.value, value) for option in spec.choices):
                    texts = [option.text for option in spec.choices]
                    subject.unknown(
                        "unknown-option", (*place, index), "option", f.option_text(value), texts
                    )
        else:
            message = f"only selections can be limited, and {name!r} is a {spec.type}"
            subject.error("unknown-field", place, message, at_key=True)
