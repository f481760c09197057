"""docs/catalog.md is true: its examples make one repository, and that is in order."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engine.catalog.checks import Known
from engine.catalog.fields import ALIASES, FIELD_TYPES
from engine.catalog.layout import SETTINGS_FILE, read_layout
from engine.catalog.reference import reference
from engine.catalog.steps import STEP_TYPES
from engine.catalog.validation import validate_set
from engine.templates.filters import FILTERS

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "catalog.md").read_text()
FOLDERS = {"catalog", "modules", "modules/bucket"}


def examples() -> dict[str, bytes]:
    found = re.findall(r"^```yaml (\S+)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    return {path: text.encode() for path, text in found}


def test_the_examples_are_a_repository_in_order() -> None:
    files = examples()
    layout = read_layout(files[SETTINGS_FILE], FOLDERS.__contains__)
    report = validate_set(files, layout, Known(has_module=FOLDERS.__contains__))
    assert report.findings == ()
    assert len(report.documents) == len([path for path in files if path.startswith("catalog/")])
    assert {document.document.kind for document in report.documents} == {
        *("CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem"),
    }


def test_other_examples_can_be_read() -> None:
    for text in re.findall(r"^```json\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE):
        assert json.loads(text)


def test_every_field_type_step_type_and_filter_is_told_of() -> None:
    for name in (*FIELD_TYPES, *ALIASES, *STEP_TYPES):
        assert f"`{name}`" in GUIDE, name
    for name in FILTERS:
        assert re.search(rf"\b{name}\b", GUIDE), name


def test_the_reference_is_what_the_models_say() -> None:
    page = (DOCS / "catalog-reference.md").read_text()
    assert page == reference(), (
        "run: python -m engine.catalog.reference > docs/catalog-reference.md"
    )


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in ("catalog.md", "catalog-reference.md", "catalog-errors.md"):
        text = (DOCS / page).read_text()
        for target in re.findall(r"\]\(([\w-]+\.md)\)", text):
            assert (DOCS / target).exists()
        headings = {h.lower() for h in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
        assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings
