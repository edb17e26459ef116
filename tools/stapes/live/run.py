"""A listening session to its end, shown in the terminal or told line by line."""

from __future__ import annotations

from collections.abc import Callable

from stapes.live.events import json_line
from stapes.live.session import Session
from stapes.live.view import live_view


def run_session(session: Session, *, plain: bool, say: Callable[[str], None]) -> None:
    """Until the source ends or the user quits: in the live view, or `plain`, an event a line."""
    if not plain:
        view = live_view(session)
        view.run()
        if view.error:
            raise view.error
        return
    state = session.state
    goes_on = True
    while goes_on:
        goes_on = session.step()
        while state.events:
            say(json_line(state.events.popleft(), state.labels, state.sample_rate, state.scale))
