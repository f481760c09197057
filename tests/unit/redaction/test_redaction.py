"""Secrets are found by value in every form they take."""

import base64
import itertools
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.redaction import SHORTEST, Redactor
from engine.results import SECRET_DOTS

secrets = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]),
    min_size=8,
    max_size=40,
).filter(lambda text: SECRET_DOTS not in text and not set(text) & set("•"))
around = st.text(st.sampled_from("\n :,{}"), max_size=12)

FORMS = {
    "as it is": lambda s: s,
    "json": lambda s: json.dumps({"password": s}),
    "json in json": lambda s: json.dumps({"log": json.dumps({"password": s})}),
    "json, not ascii": lambda s: json.dumps(s, ensure_ascii=False),
    "url": lambda s: "https://x/?p=" + quote(s, safe=""),
    "path": lambda s: "https://x/" + quote(s),
    "form": quote_plus,
    "repr": lambda s: repr({"password": s}),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "url-safe base64": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hexadecimal": lambda s: s.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(secret=secrets, before=around, after=around)
def test_no_form_of_a_secret_is_left(form, secret: str, before: str, after: str) -> None:
    written = form(secret)
    shown = Redactor([secret]).text(before + written + after)
    assert written not in shown
    assert secret not in shown
    assert SECRET_DOTS in shown


@given(secret=secrets, user=st.text(st.sampled_from("abcdef"), min_size=1, max_size=7))
def test_basic_authentication_hides_the_password_at_every_alignment(secret: str, user: str) -> None:
    header = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
    shown = Redactor([secret]).text(header)
    whole = base64.b64encode(f"{user}:{secret}".encode()).decode()
    data = secret.encode()
    stable = len(data) * 8 // 6 - 2
    assert SECRET_DOTS in shown
    assert not any(whole[i : i + stable] in shown for i in range(len(user), len(whole) - stable))


@given(st.lists(secrets, min_size=1, max_size=4), st.data())
def test_a_stream_shows_what_the_whole_text_would_however_it_is_cut(values, data) -> None:
    text = data.draw(
        st.lists(st.one_of(st.sampled_from(values), around), max_size=6).map("".join), label="text"
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6), label="cuts"))
    redactor = Redactor(values)
    stream = redactor.stream()
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert "".join(map(stream.feed, pieces)) + stream.end() == redactor.text(text)


def test_a_stream_holds_back_no_more_than_it_must() -> None:
    stream = Redactor(["hunter22"]).stream()
    shown = stream.feed("x" * 1000)
    assert len(shown) > 900


@pytest.mark.parametrize("value", ["a", "5432"[: SHORTEST - 1], ""])
def test_short_values_are_left(value: str) -> None:
    assert Redactor([value]).text("a 543 5432") == "a 543 5432"


def test_the_longest_secret_wins_over_its_own_beginning() -> None:
    assert Redactor(["secret", "secret-longer"]).text("secret-longer") == SECRET_DOTS


def test_lines_of_a_secret_are_found_alone() -> None:
    key = "-----BEGIN KEY-----\nMIIEabcdef\nghijklmnop\n-----END KEY-----\n"
    shown = Redactor([key]).text("line: MIIEabcdef; other: ghijklmnop")
    assert shown == f"line: {SECRET_DOTS}; other: {SECRET_DOTS}"


def test_json_is_redacted_in_keys_texts_and_numbers() -> None:
    redactor = Redactor(["hunter22", "123456"])
    assert redactor.json({"a hunter22": ["hunter22!", 123456, 7, None, True]}) == {
        f"a {SECRET_DOTS}": [f"{SECRET_DOTS}!", SECRET_DOTS, 7, None, True]
    }
    assert redactor.holds_secret({"a": [{"b": "x hunter22"}]})
    assert not redactor.holds_secret({"a": [1, "hunter2"]})


def test_without_secrets_nothing_changes() -> None:
    redactor = Redactor()
    assert redactor.text("hunter22") == "hunter22"
    assert redactor.stream().feed("x") == "x"


def test_terraforms_escapes_are_known() -> None:
    assert "p<a>&ss" not in Redactor(["p<a>&ss"]).text('{"@message":"p\\u003ca\\u003e\\u0026ss"}')
    assert SECRET_DOTS in Redactor(["p<a>&ss"]).text('{"@message":"p\\u003ca\\u003e\\u0026ss"}')
