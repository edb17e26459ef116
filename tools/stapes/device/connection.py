"""The one way to a device that runs this bundle: start it, hear what it is, say why it is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from stapes.device.fault import explain_loss
from stapes.device.identity import verify_identity
from stapes.device.log import logged
from stapes.errors import LinkError
from stapes.link import Client, Hello, LiveClient
from stapes.recipe import Bundle
from stapes.targets import (
    StandIn,
    largest_payload,
    longest_wait,
    open_target,
    repeat_after,
    unit_of_counter,
)

_log = logging.getLogger(__name__)

AnyClient = TypeVar("AnyClient", bound=Client)


def connect(
    bundle: Bundle,
    target: str,
    elf: Path | None,
    *,
    build_id: str | None = None,
    layer_count: int | None = None,
    uart_log: Path | None = None,
) -> AbstractContextManager[tuple[Client, Hello]]:
    """Start `target` with the program `elf` and make sure that it runs `bundle` (the very `build_id`, so many layers).

    `uart_log` gets every byte of the line. Where the device restarts meanwhile, the `LinkError` says after which
    fault.
    """
    return _connect(Client, bundle, target, elf, build_id, layer_count, uart_log)


def connect_live(
    bundle: Bundle,
    target: str,
    elf: Path | None,
    *,
    build_id: str | None = None,
    layer_count: int | None = None,
    uart_log: Path | None = None,
    microphone: StandIn | None = None,
) -> AbstractContextManager[tuple[LiveClient, Hello]]:
    """`connect` to a device that runs the live application; `microphone` is what host or emulator hear."""
    return _connect(LiveClient, bundle, target, elf, build_id, layer_count, uart_log, microphone)


@contextmanager
def _connect(
    kind: type[AnyClient],
    bundle: Bundle,
    target: str,
    elf: Path | None,
    build_id: str | None,
    layer_count: int | None,
    uart_log: Path | None,
    microphone: StandIn | None = None,
) -> Iterator[tuple[AnyClient, Hello]]:
    with greet(kind, target, elf, uart_log=uart_log, microphone=microphone) as (client, hello):
        verify_identity(hello, bundle, build_id, layer_count)
        _log.debug("%s runs %s on %s, as it must", hello.board, bundle.manifest.name, target)
        client.speed_up()
        try:
            yield client, hello
        except LinkError as error:
            raise explain_loss(error, client, hello, elf) from error


@contextmanager
def greet(
    kind: type[AnyClient],
    target: str,
    elf: Path | None = None,
    *,
    hello_timeout: float | None = None,
    uart_log: Path | None = None,
    microphone: StandIn | None = None,
) -> Iterator[tuple[AnyClient, Hello]]:
    """Start `target` and let it say who it is, whatever that may be; at most `hello_timeout` seconds for the answer."""
    with ExitStack() as stack:
        stream = stack.enter_context(open_target(target, elf=elf, microphone=microphone))
        line = stack.enter_context(logged(stream, uart_log)) if uart_log else stream
        wait = longest_wait(target)
        client = kind(
            line,
            timeout=wait,
            hello_timeout=hello_timeout or max(10.0, wait / 3),
            largest_payload=largest_payload(target),
            repeat_after=repeat_after(target),
        )
        hello = client.hello()
        yield client, replace(hello, counter=unit_of_counter(target, hello.counter))
