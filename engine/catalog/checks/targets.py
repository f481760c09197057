"""The rules of what an update or upgrade is for."""

from __future__ import annotations

from engine.catalog.checks.subject import Subject
from engine.catalog.documents import UpdateItem, UpgradeItem, slugify


def check_targets(subject: Subject, document: UpdateItem | UpgradeItem) -> None:
    """Check the targets of an operation."""
    targets = document.targets.catalog_items
    seen: dict[tuple[str, str], int] = {}
    for index, target in enumerate(targets):
        path = ("targets", "catalog_items", index)
        if subject.shape.is_touched(path):
            continue
        key = (slugify(target.name), target.version_range)
        if key in seen:
            message = f"the target {target.name!r} stands twice with the same versions"
            subject.error("duplicate-name", (*path, "name"), message)
        seen.setdefault(key, index)
        if target.to_version is not None and isinstance(document, UpdateItem):
            message = (
                "an UpdateItem does not change the version; only an UpgradeItem has to_version"
            )
            subject.error("unknown-key", (*path, "to_version"), message, at_key=True)
        for name in set(target.required_parameters) & set(target.optional_parameters):
            place = (*path, "optional_parameters", target.optional_parameters.index(name))
            subject.error("duplicate-name", place, f"{name!r} is required and optional at once")
