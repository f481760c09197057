"""A PostgreSQL of our own, for who has none: `make demo`, tests, a small installation.

    DATA_DIR/postgres.password   of the one role `pao`; 0600, made before the cluster
    DATA_DIR/postgres.log        what the server says
    DATA_DIR/postgres.lock       exclusive flock: one process at a time starts or stops
    DATA_DIR/postgres.users      shared flock: who needs the server to stay
    DATA_DIR/postgres/           0700, of the server's user
        data/                    the cluster
        run/                     the socket (or /tmp/pao-<hash>, where the path would be too long)
        server-<version>/        a copy of the binaries, only where that user cannot reach them

PostgreSQL refuses to run as root, so for root the server runs as an unprivileged user: the one who
owns the cluster, else `postgres`, else `nobody`. It listens on no TCP port, the socket's folder is
0700, and every role has a password (SCRAM), since Terraform modules run as the same user as we do.

States, and who says so:

    absent --initdb (in data.new, then renamed)--> stopped --start--> answering --stop--> stopped

"Answering" means that a connection works; a pid never does. What each death leaves:

- of a process that starts the server: the flock dies with it; a half-made data.new is removed by
  the next start, and a half-started server is waited for.
- of a long-running process: its shared flock dies with it, unlike a counter in a file. The server
  goes on, and the last of the others, or `pao db stop`, stops it.
- of the server: nothing that was committed is lost (default durable settings). Where process 1
  does not reap, the dead postmaster stays a zombie whose pid looks alive and blocks the next
  start, so then we remove its postmaster.pid, but only when all its backends are gone:
  two servers on one cluster would destroy it. Long-running processes watch and start it again.
"""

from __future__ import annotations

from engine.store.embedded.cluster import THROW_AWAY
from engine.store.embedded.server import EmbeddedServer

__all__ = ["THROW_AWAY", "EmbeddedServer"]
