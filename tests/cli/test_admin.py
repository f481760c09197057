"""What admins do from the command line: pause, read and expire the audit log, rotate keys."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from tests.support.pao import Pao

STRANGER = "U0STRANGER"


def test_a_pause_lasts_until_it_is_ended_and_both_are_audited(pao: Pao) -> None:
    assert pao("pause", "--output", "json").json == {"paused": True}
    assert pao("unpause", "--output", "json").json == {"paused": False}

    written = pao("audit", "--output", "json").json["items"]
    assert [(entry["action"], entry["after"]) for entry in written] == [
        ("engine.pause", {"paused": False}),
        ("engine.pause", {"paused": True}),
    ]
    assert written[0]["actor"].startswith("cli:")


def test_the_log_is_read_page_by_page_and_by_its_target(pao: Pao) -> None:
    for command in ("pause", "unpause", "pause"):
        pao(command)

    first = pao("audit", "--limit", "2", "--output", "json").json
    rest = pao("audit", "--cursor", first["next_cursor"], "--output", "json").json
    ids = [entry["id"] for entry in [*first["items"], *rest["items"]]]
    assert ids == sorted(ids, reverse=True)
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)

    of_nothing = pao("audit", "--target", "req-20300101-aaaaaaaa", "--output", "json").json
    assert of_nothing == {"items": [], "next_cursor": None}
    assert pao("audit", "--cursor", "no-cursor").code == 1


def test_expiry_deletes_what_is_older_and_says_so_in_the_log(pao: Pao) -> None:
    pao("pause")

    kept = pao("audit", "expire", "--before", "2000-01-01", "--output", "json")
    assert kept.json == {"deleted": 0}
    gone = pao("audit", "expire", "--before", "2999-01-01T00:00:00+01:00", "--output", "json")
    assert gone.json == {"deleted": 2}

    entries = pao("audit", "--output", "json").json["items"]
    assert [entry["action"] for entry in entries] == ["audit.expired"]
    assert pao("audit", "expire", "--before", "yesterday").code == 2


@pytest.mark.parametrize(
    "command", [["pause"], ["audit"], ["keys", "rotate"], ["events", "parked"]]
)
def test_nobody_but_admins_may_do_any_of_it(pao: Pao, command: list[str]) -> None:
    answer = pao(*command, "--as", STRANGER, "--output", "json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "forbidden"


def test_parked_events_are_listed_retried_and_given_up(pao: Pao) -> None:
    assert pao("events", "parked", "--output", "json").json == {"items": []}
    assert pao("events", "retry", "--all", "--output", "json").json == {"retried": []}
    assert pao("events", "discard", "--all", "--output", "json").json == {"discarded": []}
    unknown = pao("events", "retry", "7", "--output", "json")
    assert (unknown.code, unknown.json["error"]["code"]) == (1, "not_found")
    for wrong in (["events", "retry"], ["events", "discard", "7", "--all"]):
        assert pao(*wrong).code == 2


def test_with_nothing_kept_a_rotation_only_names_its_key(pao: Pao) -> None:
    key = Fernet.generate_key().decode()
    answer = pao("keys", "rotate", "--output", "json", PAO_ENCRYPTION_KEYS=key)
    assert answer.code == 0
    assert (answer.json["rotated"], answer.json["unreadable"]) == (0, {})
    assert len(answer.json["key_id"]) == 8
