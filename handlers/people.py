"""Changes of people and groups, so that rights follow at once."""

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, listener


def register(app: AsyncApp, services: Services) -> None:
    """Listen to changes of profiles and of user groups."""
    app.event("user_change")(listener(services, on_person_changed))
    app.event("subteam_members_changed")(listener(services, on_group_changed))


async def on_person_changed(call: Call) -> None:
    """Take the new profile over; a deactivated person loses everything with it."""
    await call.services.identity.changed(call.body["event"]["user"])


async def on_group_changed(call: Call) -> None:
    """Have everybody's teams asked for anew."""
    call.services.identity.groups_changed()
