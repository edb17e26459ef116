"""Sums that go through several devices at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from modelmaker import ModelMaker

from stapes.compiler import compile_graph
from stapes.compiler.bounds import EVERYTHING
from stapes.errors import TargetError
from stapes.graph import read_tflite, simplify
from stapes.proof.claim import FAILED, PROVED, Claim
from stapes.proof.device import ProofDevice
from stapes.proof.linear import Linear, check_requantisation, linear_of
from stapes.proof.tflm import Changes

Answer = Callable[["Device", int, Sequence[tuple[int, int]]], list[Changes]]


class Device:
    """Answers by `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked, self.stopped = answer, 0, threading.Event()

    def sweep(self, _: Any, first: int, ranges: list[tuple[int, int]], _columns: int) -> tuple[Any, int]:
        self.asked += 1
        return self.answer(self, first, ranges), sum(high - low + 1 for low, high in ranges)

    def stop(self) -> None:
        self.stopped.set()


def check(make: Callable[[Linear], Answer]) -> tuple[Claim, list[Device]]:
    """Of a dense layer of 32 channels, by two devices."""
    graph = simplify(read_tflite(ModelMaker(1).input((1, 16)).fully_connected(32).build(), "model"))
    layer = compile_graph(graph, "model").layers[0]
    linear = linear_of(graph, graph.ops[0], layer)
    devices = [Device(make(linear)) for _ in range(2)]
    bounds = linear.bounds(EVERYTHING)
    found = check_requantisation(
        cast("list[ProofDevice]", devices), layer, linear, bounds, "portable C", lambda _: None
    )
    return found, devices


def test_all_are_asked_and_every_answer_counts() -> None:
    together = threading.Barrier(2)

    def right(linear: Linear) -> Answer:
        def answer(device: Device, first: int, ranges: Sequence[tuple[int, int]]) -> list[Changes]:
            if device.asked == 1:
                together.wait(10)
            return [linear.rules[first + at].changes(*pair) for at, pair in enumerate(ranges)]

        return answer

    def wrong(linear: Linear) -> Answer:
        def answer(_: Device, first: int, ranges: Sequence[tuple[int, int]]) -> list[Changes]:
            rules = [linear.rules[first + at] for at in range(len(ranges))]
            if first + len(ranges) == 32:
                rules[-1] = replace(rules[-1], zero_point=rules[-1].zero_point + 1)
            return [rule.changes(*pair) for rule, pair in zip(rules, ranges, strict=True)]

        return answer

    claim, devices = check(right)
    assert claim.verdict == PROVED and all(device.asked for device in devices)
    claim, _ = check(wrong)
    assert claim.verdict == FAILED and "channel 31: the sum" in claim.how


def test_ctrl_c_does_not_wait_for_them() -> None:
    waiting = threading.Semaphore(0)

    def endless(_: Linear) -> Answer:
        def answer(device: Device, *_: Any) -> list[Changes]:
            waiting.release()
            assert device.stopped.wait(60), "was not stopped"
            raise TargetError("the target was stopped")

        return answer

    def interrupt() -> None:
        waiting.acquire()
        waiting.acquire()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        check(endless)
