"""Files that stand at the repository's root for people, and inside this package in a wheel."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ConfigurationError


def shipped(name: str) -> Path:
    """Return where `name` (manifest.yml, examples/catalog) is; the repository's own comes first.

    ConfigurationError when this installation has neither.
    """
    package = Path(__file__).parent
    for place in (package.parent / name, package / name):
        if place.exists():
            return place
    raise ConfigurationError(
        f"{name} is missing from this installation",
        f"it is neither in {package.parent} nor in {package}",
        "Install PAO again, or use a clone of its repository",
    )
