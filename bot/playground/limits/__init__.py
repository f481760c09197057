"""What Slack refuses: the table of Block Kit's shapes and limits.

Anything that is not written here is refused, so that what works in the playground works in Slack.
`schema` is the grammar; `composition`, `elements`, `blocks` and `surfaces` hold the table, each
built from the one before.
"""

from bot.playground.limits.elements import all_options, elements_in, read_number
from bot.playground.limits.surfaces import (
    MESSAGE_TEXT,
    check_blocks,
    check_field_errors,
    check_message,
    check_suggestions,
    check_text,
    check_view,
)

__all__ = [
    "MESSAGE_TEXT",
    "all_options",
    "check_blocks",
    "check_field_errors",
    "check_message",
    "check_suggestions",
    "check_text",
    "check_view",
    "elements_in",
    "read_number",
]
