"""The Kubernetes example fits the program: its settings, commands, paths and signals exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bot.cli import pao
from bot.settings import Settings, unknown_variables
from engine.config import SHUTDOWN_GRACE

ROOT = Path(__file__).parents[3]
DOCUMENTS = list(yaml.safe_load_all((ROOT / "examples/kubernetes/pao.yaml").read_text("utf-8")))


def containers() -> list[dict[str, Any]]:
    return [
        {"spec": spec, **container}
        for document in DOCUMENTS
        if (spec := document.get("spec", {}).get("template", {}).get("spec"))
        for container in spec["containers"]
    ]


def test_there_are_a_migration_a_bot_and_several_workers() -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in DOCUMENTS}
    assert found["Job", "pao-migrate-0-1-0"]
    assert found["Deployment", "pao-bot"]
    assert found["Deployment", "pao-worker"]["spec"]["replicas"] > 1


def test_every_variable_is_a_setting() -> None:
    names = {name for document in DOCUMENTS for name in document.get("data", {})}
    names |= {one["name"] for container in containers() for one in container.get("env", ())}
    assert len(names) > 5
    assert unknown_variables(dict.fromkeys(names, "")) == []


@pytest.mark.parametrize("container", containers(), ids=lambda one: one["args"][0])
def test_every_command_line_is_one(container: dict[str, Any]) -> None:
    arguments, group = list(container["args"]), pao
    context = click.Context(pao, info_name="pao")
    command: click.Command = group
    while isinstance(command, click.Group):
        _, below, arguments = command.resolve_command(context, arguments)
        assert below is not None
        command = below
    assert command.make_context("pao", arguments)


@pytest.mark.parametrize("container", containers(), ids=lambda one: one["args"][0])
def test_containers_have_few_rights_and_are_given_time_to_end(container: dict[str, Any]) -> None:
    assert container["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    if container["args"][0] in {"run", "worker"}:
        grace = container["spec"]["terminationGracePeriodSeconds"]
        assert grace > SHUTDOWN_GRACE.total_seconds()
        port = Settings.model_fields["http_port"].default
        assert {"name": "http", "containerPort": port} in container["ports"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_mounted_volumes_are_declared() -> None:
    for container in containers():
        declared = {volume["name"] for volume in container["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= declared
