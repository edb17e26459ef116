"""The live view in the terminal."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from stapes.errors import StapesError
from stapes.live.picture import picture
from stapes.live.session import Session
from stapes.packages import needed_for

REFRESH_SECONDS = 0.1


def live_view(session: Session) -> Any:
    """A textual application that runs `session` in a thread and shows it; `.run()` it.

    Its `error` holds what ended the session early. Raises `ToolError` without the package.
    """
    with needed_for("the live view", "textual", instead="give --plain"):
        from textual.app import App
        from textual.widgets import Static

    class View(App[None]):
        CSS = "Screen { overflow: hidden; } Static { width: 100%; height: 100%; }"
        BINDINGS: ClassVar[list[Any]] = [("q", "quit", "Quit")]
        ENABLE_COMMAND_PALETTE = False

        def __init__(self) -> None:
            super().__init__()
            self.error: StapesError | None = None
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._static = Static()

        def compose(self) -> Any:
            yield self._static

        def on_mount(self) -> None:
            self._thread.start()
            self.set_interval(REFRESH_SECONDS, self._show)

        def _show(self) -> None:
            if self.error:
                self.exit()
            self._static.update(picture(session.state, self.size.width, self.size.height))

        def _listen(self) -> None:
            try:
                while not self._stop.is_set() and session.step():
                    pass
            except StapesError as error:
                self.error = error

        def on_unmount(self) -> None:
            self._stop.set()
            self._thread.join(timeout=5)

    return View()
