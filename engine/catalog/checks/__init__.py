"""Whether a document makes sense: every rule beyond its shape, one module a theme.

Each check looks at one document (`Subject`) and what is known around it (`Surroundings`), and
reports on the subject. Rules across documents are in cross.py and see the whole set.
"""

from __future__ import annotations

from engine.catalog.checks.fields import check_presentation
from engine.catalog.checks.header import check_header
from engine.catalog.checks.steps import check_fulfillment
from engine.catalog.checks.subject import Known, Subject
from engine.catalog.checks.targets import check_targets
from engine.catalog.checks.templates import check_templates
from engine.catalog.documents import CatalogBundle, CatalogItem, UpdateItem, UpgradeItem

__all__ = ["Known", "Subject", "check_document"]


def check_document(subject: Subject, known: Known) -> None:
    """Apply every rule that needs no other document; findings go to the subject."""
    document = subject.document
    check_header(subject)
    check_presentation(subject)
    if isinstance(document, CatalogItem | UpdateItem | UpgradeItem):
        check_fulfillment(subject, document.fulfillment, known)
    if isinstance(document, UpdateItem | UpgradeItem):
        check_targets(subject, document)
    if not isinstance(document, CatalogBundle):
        check_templates(subject, known)
