"""Lists that a template writes down count by what they hold."""

from __future__ import annotations

import pytest

from engine.errors import TemplateError
from engine.templates import render

BIG = "x" * (1 << 19)


@pytest.mark.parametrize("form", ["{{ [%s] }}", "{{ [%s] | tojson }}", "{{ [[%s]] | length }}"])
@pytest.mark.parametrize("scope", [{"a": BIG}, {"a": {"b": [BIG]}}], ids=["text", "structure"])
def test_a_list_that_repeats_a_long_text_is_refused(form: str, scope: dict[str, object]) -> None:
    with pytest.raises(TemplateError, match="too long"):
        render(form % ",".join(["a"] * 1000), scope)


def test_a_list_of_what_is_short_is_given() -> None:
    assert render("{{ [a, 1, [a]] }}", {"a": "x"}) == ["x", 1, ["x"]]
