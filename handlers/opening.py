"""The first page of a form: with the defaults, or with what the person left in it before."""

from dataclasses import replace
from typing import Any, Final

from bot.forms import sessions
from bot.forms.form import Form, untouched
from bot.forms.meta import Meta
from bot.forms.pages import ANEW, draw
from bot.listening import Call
from bot.messages import notices
from bot.messages.blocks import actions, button, section
from handlers import subjects

Block = dict[str, Any]


async def first_page(call: Call, form: Form, meta: Meta) -> Block:
    """Return a form's first page, with the person's draft if there is one."""
    actor, engine = await call.actor(), call.services.engine
    kept = await sessions.draft(engine, actor, form)
    fresh = untouched(form, actor)
    filled = kept.filled.over(fresh) if kept else fresh
    form = await subjects.settled(call, form, filled)
    if kept is None:
        return draw(form, filled, meta)
    return draw(form, filled, replace(meta, session=kept.session_id), _DRAFT)


_DRAFT: Final = (section(notices.DRAFT), *actions(button(notices.START_ANEW, ANEW)))
