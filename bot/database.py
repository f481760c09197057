"""Which database a process uses: one's own by its address, else the embedded one in DATA_DIR."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bot.settings import Settings, clear
from engine.errors import Unavailable
from engine.store.embedded import EmbeddedServer
from engine.store.migrate import migrate

KEY_FILE = "encryption.key"


class Database:
    """The database of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = clear(settings.database_url)
        self.embedded = (
            None if self.url else EmbeddedServer(settings.data_dir, binaries=settings.postgres_bin)
        )

    async def ready(self) -> tuple[str, tuple[str, ...]]:
        """Return address and encryption keys; the embedded server is started and migrated.

        Unavailable when it cannot be started. One's own database is not touched.
        """
        if self.embedded is None:
            return str(self.url), self._keys()
        url = await asyncio.to_thread(self.embedded.start)
        await migrate(url)
        return url, self._keys()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[tuple[str, tuple[str, ...]]]:
        """Like `ready`, for what runs long: the embedded server is kept, and started again.

        The last holder to leave stops it.
        """
        if self.embedded is None:
            yield await self.ready()
            return
        async with self.embedded.kept() as url:
            await migrate(url)
            yield url, self._keys()

    def _keys(self) -> tuple[str, ...]:
        """Return the keys of the settings, or the one of the embedded set-up."""
        given = tuple(key.get_secret_value() for key in self._settings.encryption_keys)
        if given or self.embedded is None:
            return given
        return (kept_key(self._settings.data_dir / KEY_FILE),)


def kept_key(path: Path) -> str:
    """Return the Fernet key in `path`, made (0600) by whoever comes first."""
    try:
        if not path.exists():
            _make_key(path)
        return path.read_text("ascii").strip()
    except OSError as error:
        raise Unavailable(
            f"The key file {path} cannot be read", str(error.strerror), "Check its rights"
        ) from error


def _make_key(path: Path) -> None:
    """Write a new key beside `path` and link it there: never half a file, never a second key."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(new, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(new, path)
    new.unlink()
