"""Who depends on whom: direct dependencies both ways, and a picture of them.

The edges are written with an instance at its submission. The database refuses a provider that is on
its way out and a cycle (sql/functions/check_dependency.sql).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from engine.results import DependencyView
from engine.store import instances
from engine.store.instances import Direction, InstanceRow
from engine.store.pool import Connection

_UNSAFE = re.compile(r"[^\w .,/()-]")


async def of_instance(
    connection: Connection, instance_id: UUID, direction: Direction = "both"
) -> list[DependencyView]:
    """Return what the instance needs, what needs it, or both; InvalidInput for another direction."""
    return await instances.dependencies(connection, instance_id, direction)


def mermaid(instance: InstanceRow, dependencies: Sequence[DependencyView]) -> str:
    """Return the instance and its neighbours as a Mermaid flowchart.

    Arrows point from who needs to who is needed; dotted ones are not required.
    """
    nodes = {instance.instance_id: (instance.instance_name, instance.instance_state)}
    nodes |= {d.instance_id: (d.instance_name, d.instance_state) for d in dependencies}
    return "\n".join(
        [
            "graph LR",
            *(f"    {_node(id_)}[{_label(*named)}]" for id_, named in nodes.items()),
            *(f"    {_edge(instance.instance_id, dependency)}" for dependency in dependencies),
            f"    style {_node(instance.instance_id)} stroke-width:3px",
        ]
    )


def _edge(instance_id: str, dependency: DependencyView) -> str:
    ends = [_node(instance_id), _node(dependency.instance_id)]
    needs, needed = ends if dependency.relationship == "provider" else reversed(ends)
    arrow = "-->" if dependency.is_required else "-.->"
    words = ": ".join(filter(None, (dependency.dependency_type, dependency.dependency_name)))
    return f'{needs} {arrow}|"{_escape(words)}"| {needed}'


def _node(instance_id: str) -> str:
    return instance_id.replace("-", "_")


def _label(name: str, state: str) -> str:
    return f'"{_escape(name)}<br/>{_escape(state)}"'


def _escape(text: str) -> str:
    """Write what Mermaid could take for syntax as its entity codes (`#35;`)."""
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", text)
