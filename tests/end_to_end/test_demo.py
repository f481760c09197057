"""`pao demo` and the command line beside it, as a new user meets them."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.pao import Demo, Pao, end_group, new_pao, stop, wait_for

pytestmark = [pytest.mark.terraform]


@pytest.fixture(scope="module")
def pao(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pao:
    return new_pao(run_folder, tmp_path_factory.mktemp("demo").name)


@pytest.fixture(scope="module")
def demo(pao: Pao) -> Iterator[Demo]:
    with pao.demo() as running:
        yield running
    assert pao.processes() == []


README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BUCKET = ("--param", "bucket_name=orders-exports", "--param", "data_class=internal")


def test_the_playground_answers_to_its_token_alone(demo: Demo) -> None:
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(demo.url.split("?")[0]).status_code in {401, 403}
        assert "<html" in browser.get(demo.url).text


def test_an_order_by_command_line_ends_with_a_running_service(demo: Demo) -> None:
    pao = demo.pao
    ordered = pao(
        *("request", "submit", "--item", "object-bucket", "--name", "exports", *BUCKET),
        *("--wait", "--output", "json", *pao.demo_options),
    )
    assert ordered.code == 0, ordered.err
    request = ordered.json
    assert request["status"] == "completed"
    assert {step["status"] for step in request["steps"]} == {"completed"}
    assert request["outputs"]["console_url"].startswith("http")

    service = pao("service", "get", request["instance_id"], "--output", "json", *pao.demo_options)
    assert service.json["instance_state"] == "active"
    assert service.json["deployed_resources"]


def test_a_missing_parameter_is_named_and_nothing_is_ordered(demo: Demo) -> None:
    pao = demo.pao
    refused = pao(
        *("request", "submit", "--item", "object-bucket", "--param", "bucket_name=exports"),
        *("--output", "json", *pao.demo_options),
    )
    assert refused.code == 1
    assert refused.json["error"]["field"] == "data_class"
    assert "Traceback" not in refused.err


def test_a_dry_run_shows_what_would_run_and_orders_nothing(demo: Demo):
    pao = demo.pao
    order = ("request", "submit", "--item", "object-bucket", *BUCKET, "--dry-run", "--wait")
    before = pao("request", "list", "--output", "json", *pao.demo_options).json

    shown = pao(*order, *pao.demo_options)
    assert shown.code == 0, shown.err
    assert "nothing was ordered" in shown.out
    assert "infrastructure" in shown.out

    planned = pao(*order, "--output", "json", *pao.demo_options).json
    assert planned["dry_run"] is True
    assert planned["request_id"] is None
    assert pao("request", "list", "--output", "json", *pao.demo_options).json == before


def test_an_example_refuses_a_network_that_cannot_be(demo: Demo):
    networks = ("--param", "source=10.0.0.300/24", "--param", "destination=10.0.0.0/24")
    why = ("--param", "service=https", "--param", "reason=the shop asks the ledger")
    checked = demo.pao(
        *("request", "validate", "--item", "firewall-change", *networks, *why),
        *("--output", "json", *demo.pao.demo_options),
    )
    assert checked.code == 1
    assert [error["field"] for error in checked.json["errors"]] == ["source"]


def test_an_unknown_item_gets_a_suggestion(demo: Demo) -> None:
    refused = demo.pao(
        *("request", "submit", "--item", "object-buckt", "--output", "json"),
        *demo.pao.demo_options,
    )
    assert refused.code == 1
    assert "object-bucket" in refused.json["error"]["message"]


def test_an_item_that_fails_falls_back_to_a_ticket_and_goes_on_by_hand(demo: Demo) -> None:
    pao = demo.pao
    failed = pao(
        *("request", "submit", "--item", "flaky-queue", "--param", "queue_name=events"),
        *("--wait", "--output", "json", *pao.demo_options),
    )
    assert failed.code == 1
    request = failed.json
    assert request["status"] == "failed"
    [step] = [step for step in request["steps"] if step["status"] == "failed"]
    assert step["tickets"][0]["ticket_id"]

    outputs = [part for name in step["declared_outputs"] for part in ("--param", f"{name}=by-hand")]
    resolved = pao(
        *("request", "resolve", request["request_id"], step["step_id"], *outputs),
        *("--wait", "--output", "json", *pao.demo_options),
    )
    assert resolved.code == 0, resolved.out + resolved.err
    assert resolved.json["status"] == "completed"


def test_what_the_readme_shows_works_when_it_is_copied(demo: Demo) -> None:
    pao = demo.pao
    [(path, document)] = re.findall(r"^```yaml (\S+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    catalog = pao.data_dir / "demo" / "catalog"
    (catalog / path).write_text(document)
    commit(catalog, path)
    with_config = {"PAO_CONFIG": str(pao.data_dir / "demo" / "pao.yml")}
    assert pao("catalog", "sync", **with_config).code == 0
    topic = ("--item", "topic", "--param", "topic_name=orders")
    ordered = pao("request", "submit", *topic, "--wait", "--output", "json", **with_config)
    assert ordered.code == 0, ordered.err
    assert ordered.json["outputs"]["topic_id"].startswith("topic-")

    for line in re.findall(r"^\$ \.venv/bin/pao (.*)$", README, re.MULTILINE):
        answer = pao(*shlex.split(line), **with_config)
        assert answer.code == 0, answer.err
        assert answer.out, line


def test_a_second_demo_on_a_taken_port_says_what_to_do(demo: Demo, pao: Pao) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        answer = pao("demo", "--port", port, "--no-browser")
    assert answer.code == 2
    assert f"port {port}" in answer.err
    assert "--port" in answer.err
    assert "Traceback" not in answer.err


def test_a_demo_without_terraform_says_so_and_goes_on(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    pao = new_pao(run_folder, "demo-bare")
    process = pao.start("demo", "--port", "0", "--no-browser", PATH=str(tmp_path))
    try:
        told = wait_for(process, re.compile(r"There is no terraform or tofu .* become tickets\."))
        assert "Install Terraform or OpenTofu" in told[0]
        assert stop(process) == 0
    finally:
        end_group(process)


def test_a_demo_without_git_says_what_to_install(run_folder: Path, tmp_path: Path) -> None:
    answer = new_pao(run_folder, "demo-no-git")("demo", "--no-browser", PATH=str(tmp_path))
    assert answer.code == 2
    assert "Install git" in answer.err
    assert "Traceback" not in answer.err


def test_the_demo_ends_by_interrupt_and_starts_again_with_what_was_kept(run_folder: Path) -> None:
    pao = new_pao(run_folder, "demo-twice")
    with pao.demo() as first:
        assert pao("catalog", "list", "--output", "json", *pao.demo_options).json["items"]
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(timeout=60) == 0
        end_group(first.process)
        assert pao.processes() == []
        with pao.demo():
            listed = pao("catalog", "list", "--output", "json", *pao.demo_options)
            assert len(listed.json["items"]) >= 6


def commit(repository: Path, path: str) -> None:
    """Commit a file as the repository's owner does, whoever runs the tests."""
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "safe.directory=*")
    for words in (("add", path), ("commit", "--quiet", "-m", "Offer topics")):
        subprocess.run(["git", *author, *words], cwd=repository, check=True, capture_output=True)
