"""What people do in Slack: click, choose, submit, close; each reaches the app as a payload.

A gesture returns when the app has acknowledged it, or when Slack has given up and told the person.
What the app does after its acknowledgement arrives later, through the Web API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.playground import payloads
from bot.playground.delivery import NotAcknowledged
from bot.playground.inputs import (
    VALUE_KEYS,
    State,
    carry_over,
    chosen_options,
    client_errors,
    entry_of,
)
from bot.playground.limits import (
    check_field_errors,
    check_suggestions,
    check_view,
    elements_in,
)
from bot.playground.refusals import JsonObject, Refused
from bot.playground.surfaces import Surface, find_element, surface_id
from bot.playground.views import View, Views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.playground.dispatch import Dispatch
    from bot.playground.workspace import Workspace

TROUBLE = "We had some trouble connecting. Try again?"


class Gestures:
    """What everybody in the workspace does with blocks, modals and profiles."""

    def __init__(self, workspace: Workspace, views: Views, dispatch: Dispatch) -> None:
        self.workspace = workspace
        self.views = views
        self.dispatch = dispatch
        self._message_states: dict[tuple[str, str], State] = {}
        self._offered: dict[tuple[str, str, str], list[JsonObject]] = {}

    # Blocks

    async def click(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        value: object = None,
        *,
        block_id: str | None = None,
    ) -> None:
        """Press a button, or choose `value` in another element; tells the app if it is to know."""
        block, element = find_element(surface, action_id, block_id)
        entry = self._touch(user, surface, block, element, value)
        if block["type"] == "input" and not block.get("dispatch_action", False):
            return
        action: JsonObject = {
            **entry,
            "action_id": element["action_id"],
            "block_id": block["block_id"],
            "action_ts": self.workspace.next_ts(),
        }
        try:
            await self.dispatch.interact(self._action_payload(user, surface, action))
        except NotAcknowledged as missed:
            self.dispatch.notify(user, f"The app did not respond ({missed.reason}). Try again?")

    def _touch(
        self, user: str, surface: Surface, block: JsonObject, element: JsonObject, value: object
    ) -> JsonObject:
        if element["type"] == "button":
            carried: JsonObject = {k: element[k] for k in ("value", "style") if k in element}
            return {"type": "button", "text": element["text"], **carried}
        if element["type"] == "overflow":
            entry = entry_of({**element, "type": "static_select"}, value, [])
            return {"type": "overflow", "selected_option": entry["selected_option"]}
        place = (block["block_id"], element["action_id"])
        state = self.state_of(user, surface)
        offered = self._offered.get((surface_id(surface), *place), [])
        entry = entry_of(element, value, [*offered, *chosen_options(element, state[place])])
        state[place] = entry
        return entry

    def _action_payload(self, user: str, surface: Surface, action: JsonObject) -> JsonObject:
        person = self.workspace.person(user)
        if isinstance(surface, View):
            modal = surface.content["type"] == "modal"
            trigger_id = self.views.pull_trigger(user, from_modal=modal)
            return payloads.view_action(person, surface, action, trigger_id=trigger_id)
        channel = self.workspace.channel(surface.channel)
        return payloads.message_action(
            person,
            channel,
            surface,
            action,
            self.state_of(user, surface),
            trigger_id=self.views.pull_trigger(user),
            response_url=self.dispatch.response_url(channel, user, surface),
        )

    async def suggest(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        typed: str = "",
        *,
        block_id: str | None = None,
    ) -> JsonObject:
        """Type into an external select; return the app's `options` or `option_groups`.

        Nothing is asked and there are no options below the element's min_query_length (3 unless
        said). An answer that Slack would not show is told to the person.
        """
        block, element = find_element(surface, action_id, block_id)
        if len(typed) < element.get("min_query_length", 3):
            return {"options": []}
        payload = payloads.suggestion(
            self.workspace.person(user),
            element["action_id"],
            block["block_id"],
            typed,
            self._suggestion_place(surface),
        )
        try:
            answer = await self.dispatch.interact(payload)
            check_suggestions(answer)
        except NotAcknowledged as missed:
            self.dispatch.notify(user, f"The options could not be loaded ({missed.reason}).")
            return {"options": []}
        except Refused as refused:
            self.dispatch.notify(
                user, f"The options could not be loaded: {'; '.join(refused.messages)}"
            )
            return {"options": []}
        place = (surface_id(surface), block["block_id"], element["action_id"])
        known = self._offered.setdefault(place, [])
        grouped = [option for g in answer.get("option_groups", []) for option in g["options"]]
        known.extend(o for o in [*answer.get("options", []), *grouped] if o not in known)
        return answer

    def _suggestion_place(self, surface: Surface) -> JsonObject:
        if isinstance(surface, View):
            return {
                "container": {"type": "view", "view_id": surface.id},
                "view": surface.as_slack(with_state=False),
            }
        channel = self.workspace.channel(surface.channel)
        return {
            "container": {
                "type": "message",
                "message_ts": surface.ts,
                "channel_id": channel.id,
                "is_ephemeral": surface.only_for is not None,
            },
            "channel": {"id": channel.id, "name": channel.name},
        }

    def state_of(self, user: str, surface: Surface) -> State:
        """Return what one person typed and chose on a surface so far."""
        if isinstance(surface, View):
            return surface.state
        key = (user, surface.ts)
        state = carry_over(self._message_states.get(key, {}), surface.blocks)
        if state:
            self._message_states[key] = state
        return state

    # Modals

    def fill(self, user: str, surface: Surface, values: Mapping[str, object]) -> None:
        """Type into fields without telling the app; keys are action_ids or block_ids.

        A key `block_id/action_id` names a field where neither alone would do.
        """
        for key, value in values.items():
            block_id, slash, action_id = key.partition("/")
            if slash:
                block, element = find_element(surface, action_id, block_id)
            else:
                block, element = find_element(surface, key)
            self._touch(user, surface, block, element, value)
        self.workspace.changed()

    async def submit(self, user: str, view: View) -> None:
        """Press a modal's Submit; errors are shown in the view, `view.errors`."""
        view.trouble = None
        view.errors = client_errors(view.blocks, view.state)
        self.workspace.changed()
        if view.errors:
            return
        payload = payloads.submission(
            self.workspace.person(user),
            view,
            trigger_id=self.views.pull_trigger(user, from_modal=True),
            response_urls=self._submission_urls(user, view),
        )
        try:
            answer = await self.dispatch.interact(payload)
            self._answer_submission(user, view, answer)
        except NotAcknowledged:
            view.trouble = TROUBLE
        except Refused as refused:
            view.trouble = TROUBLE
            reasons = "; ".join(refused.messages) or refused.error
            self.dispatch.notify(user, f"Slack refused the app's answer: {reasons}")
        self.workspace.changed()

    def _answer_submission(self, user: str, view: View, answer: JsonObject) -> None:
        match answer.get("response_action"):
            case None:
                self._report_closed(user, self.views.close(view)[1:], is_cleared=True)
            case "clear":
                self.views.clear(user)
            case "errors":
                check_field_errors(answer.get("errors"), view.as_slack())
                view.errors = answer["errors"]
            case "update":
                check_view(answer.get("view"), "modal")
                self.views.update(answer["view"], view_id=view.id)
            case "push":
                check_view(answer.get("view"), "modal")
                self.views.push_for(user, answer["view"])
            case other:
                raise Refused("invalid_arguments", [f"unknown response_action: {other}"])

    def _submission_urls(self, user: str, view: View) -> list[JsonObject]:
        urls: list[JsonObject] = []
        for block, element in elements_in(view.blocks):
            if element.get("response_url_enabled"):
                place = (block["block_id"], element["action_id"])
                key, _ = VALUE_KEYS[element["type"]]
                channel = self.workspace.channel(view.state[place][key])
                urls.append(
                    {
                        "response_url": self.dispatch.response_url(channel, user),
                        "channel_id": channel.id,
                        "block_id": block["block_id"],
                        "action_id": element["action_id"],
                    }
                )
        return urls

    async def close(self, user: str, view: View, *, everything: bool = False) -> None:
        """Press Cancel (one view), or the cross (`everything`)."""
        gone = self.views.clear(user) if everything else self.views.close(view)
        self.workspace.changed()
        self._report_closed(user, gone, is_cleared=everything or len(gone) > 1)

    def _report_closed(self, user: str, gone: list[View], *, is_cleared: bool) -> None:
        person = self.workspace.person(user)
        for view in gone:
            if view.content.get("notify_on_close"):
                payload = payloads.closed(person, view, is_cleared=is_cleared)
                self.dispatch.report(payload)

    # Elsewhere

    async def shortcut(self, user: str, callback_id: str) -> None:
        """Choose a global shortcut."""
        payload = payloads.shortcut(
            self.workspace.person(user),
            callback_id,
            trigger_id=self.views.pull_trigger(user),
            action_ts=self.workspace.next_ts(),
        )
        try:
            await self.dispatch.interact(payload)
        except NotAcknowledged as missed:
            self.dispatch.notify(user, f"The app did not respond ({missed.reason}). Try again?")

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the app's Home (or `messages`) tab."""
        content: JsonObject = {
            "type": "app_home_opened",
            "user": user,
            "channel": self.workspace.direct_messages(user).id,
            "tab": tab,
            "event_ts": self.workspace.next_ts(),
        }
        home = self.views.homes.get(user)
        if home is not None and tab == "home":
            content["view"] = home.as_slack()
        self.dispatch.event("app_home_opened", content)

    def change_person(self, user: str, **changes: Any) -> None:
        """Change a profile (`real_name`, `email`, `deleted`, ...) and tell the app."""
        person = self.workspace.person(user)
        for name, value in changes.items():
            setattr(person, name, value)
        self.workspace.changed()
        self.dispatch.event("user_change", {"type": "user_change", "user": person.as_slack()})
