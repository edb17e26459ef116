"""Corrupt .tflite files by the thousand: the whole compile step ends in a `ModelError` or in C.

    cd tools/tests && python -m graph.fuzz_models --seconds 1800 MODEL.tflite …

prints what became of the mutations of each model (and of two small ones made here) and exits with 1 when one
raised anything but `ModelError`, took more than ten seconds of CPU, or needed more than 1 GiB. A graph that is
accepted is also run once, on zeros, where its model is small: the operators must work on whatever passes.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np
from modelmaker import ModelMaker

from stapes.codegen.emitter import Provenance
from stapes.codegen.model import model_sources
from stapes.compiler import compile_graph
from stapes.errors import ModelError, UnsupportedModelError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.int8 import run_graph

LIMIT_SECONDS = 10
LIMIT_BYTES = 1 << 30
_VALUES = (0, 1, 2, 3, 4, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)


@dataclass
class Tally:
    """What became of the mutations of one model."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def small_model() -> bytes:
    """A network with most of the operators."""
    maker = ModelMaker(7).input((1, 8, 6, 4))
    maker.pad([(0, 0), (1, 1), (0, 0), (0, 0)]).conv_2d(6, groups=2, activation="RELU", padding="VALID")
    left = maker.depthwise_conv_2d(1).last
    right = maker.unary("HARD_SWISH", 0.05, 0, source=left).unary("LEAKY_RELU", 0.05, 1, alpha=0.1).last
    maker.binary("MUL", left, right, 0.3, 2)
    maker.concatenation([maker.last, maker.last], 3)
    maker.concatenation(maker.split(2, 3), 3)
    maker.strided_slice((0, 1, 0, 0), (1, 8, 4, 12), (1, 2, 1, 1), (1, 4, 4, 12))
    maker.transpose((0, 2, 1, 3)).pool("AVERAGE_POOL_2D", (2, 2)).reduce("MEAN", (1, 2))
    maker.reshape((1, 3, 4)).reshape((1, 12)).fully_connected(5).softmax()
    return maker.build()


def rewritten_model() -> bytes:
    """A network that is much simplified before it is checked: a state, padding, dilation as Keras writes it."""
    maker = ModelMaker(3).input((1, 4, 2, 3), zero_point=0)
    maker.remember("stream", 2, np.zeros((1, 2, 2, 3)))
    blocks = maker.constant(np.array([2, 1], np.int32))
    amounts = maker.constant(np.array([[1, 1], [0, 0]], np.int32))
    maker.pad([(0, 0), (2, 0), (0, 0), (0, 0)])
    maker.op("SPACE_TO_BATCH_ND", [maker.last, blocks, amounts], (2, 5, 2, 3))
    maker.conv_2d(3, (3, 1))
    maker.op("BATCH_TO_SPACE_ND", [maker.last, blocks, amounts], (1, 8, 2, 3))
    maker.reshape((1, 8, 6)).pad([(0, 0), (2, 0), (0, 0)])
    maker.reshape((1, 1, 10, 6)).conv_2d(4, (1, 3), padding="VALID").reshape((1, 8, 4))
    return maker.build()


def structure(data: bytes) -> list[int]:
    """Positions that hold tables, offsets and shapes rather than weights."""
    weights: set[int] = set()
    for tensor in read_tflite(data).tensors:
        if tensor.data is not None and tensor.data.nbytes > 64:
            start = data.find(tensor.data.tobytes())
            weights.update(range(start, start + tensor.data.nbytes))
    return [position for position in range(len(data)) if position not in weights]


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`count` corrupt copies of `data`: cut, bits flipped, bytes and words overwritten, blocks moved."""
    generator = random.Random(seed)
    places = structure(data)
    for _ in range(count):
        mutant = bytearray(data)
        kind = generator.randrange(6)
        if kind == 0:
            yield data[: generator.randrange(len(data))]
            continue
        for _ in range(generator.choice((1, 1, 1, 2, 4, 16))):
            position = (
                generator.choice(places) if generator.random() < 0.9 else generator.randrange(len(data))
            )
            if kind == 1:
                mutant[position] ^= 1 << generator.randrange(8)
            elif kind == 2:
                mutant[position] = generator.randrange(256)
            elif kind == 3:
                end = min(len(data), position + generator.randrange(1, 64))
                mutant[position:end] = bytes([generator.choice((0, 0xFF, 0x80, 1))]) * (end - position)
            elif kind == 4:
                position = min(position & ~3, len(data) - 4)
                mutant[position : position + 4] = struct.pack("<I", generator.choice(_VALUES))
            else:
                source, length = generator.choice(places), generator.randrange(1, 64)
                length = min(length, len(data) - max(source, position))
                mutant[position : position + length] = data[source : source + length]
        yield bytes(mutant)


def attempt(data: bytes, run: bool) -> str:
    """What compiling `data` ends in; with `run`, an accepted graph is run as well."""
    try:
        graph = simplify(read_tflite(data))
        check_supported(graph)
        model_sources(compile_graph(graph), Provenance({}), name="mutant")
    except UnsupportedModelError:
        return "unsupported"
    except ModelError:
        return "corrupt"
    if run:
        run_graph(graph, [np.zeros(graph.tensor(index).shape, np.int8) for index in graph.inputs])
    return "accepted"


def campaign(data: bytes, count: int, seed: int, seconds: float = math.inf) -> Tally:
    """Try `count` mutations of `data`, or what can be tried in `seconds`."""

    def too_long(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {LIMIT_SECONDS} s")

    tally = Tally()
    before = signal.signal(signal.SIGPROF, too_long)  # CPU time: a busy machine is no fault of a model
    end = time.monotonic() + seconds
    try:
        for number, mutant in enumerate(mutations(data, count, seed)):
            if time.monotonic() > end:
                break
            start = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
            try:
                tally.outcomes[attempt(mutant, run=len(data) < 20_000)] += 1
            except BaseException as error:  # whatever it is, it is the finding
                if isinstance(error, KeyboardInterrupt):
                    raise
                tally.failures.append(f"mutation {number} of seed {seed}: {type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            tally.slowest = max(tally.slowest, time.process_time() - start)
    finally:
        signal.signal(signal.SIGPROF, before)
    return tally


def limit_memory() -> None:
    """From here on, 1 GiB more than now is all the process gets."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def main() -> int:
    """The whole campaign."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="mutations of each model")
    parser.add_argument("--seconds", type=float, help="in place of a count: for all models together")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    models = {"small": small_model(), "rewritten": rewritten_model()} | {
        path.name: path.read_bytes() for path in options.models
    }
    for name, data in models.items():
        if attempt(data, run=True) != "accepted":  # also imports everything before memory is limited
            parser.error(f"{name} is not accepted as it is")
    limit_memory()
    failed = False
    for name, data in models.items():
        if options.seconds is None:
            tally = campaign(data, options.count, options.seed)
        else:
            tally = campaign(data, sys.maxsize, options.seed, options.seconds / len(models))
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        print(f"{name}: {outcomes}, {len(tally.failures)} failures, slowest {tally.slowest * 1000:.0f} ms")
        for failure in tally.failures[:20]:
            print("  " + failure)
        failed = failed or bool(tally.failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
