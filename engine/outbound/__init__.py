"""Calls to the outside over HTTP, through one guard. The only place that knows an HTTP library.

Whatever a document can name (step URLs, webhook tickets, option sources) goes through the guard:
https only, and only to addresses that are public or that the operator allows. Addresses that the
operator sets are called with `guarded=False`. How it is done:

- `addresses`: which addresses may be connected to;
- `network`: the name is resolved once, every address of it judged, and the connection goes to a
  judged address while the certificate is still checked for the name. A name that resolves to
  something else the second time gains nothing, there is no second time;
- `client`: one exchange, bounded in time and in size, redirects judged like the first address,
  and the outcome sorted into what may be tried again and what may not.

The connections are httpcore's, without the client on top: that one would keep cookies of one step
for the next, and take proxies and passwords from the environment.
"""

from engine.outbound.addresses import AllowList
from engine.outbound.client import (
    LARGEST_ANSWER,
    TIMEOUT,
    Outbound,
    Response,
    failure_of,
    retry_after,
    same_origin,
)

__all__ = [
    "LARGEST_ANSWER",
    "TIMEOUT",
    "AllowList",
    "Outbound",
    "Response",
    "failure_of",
    "retry_after",
    "same_origin",
]
