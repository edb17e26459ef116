"""The program in which the TFLM interpreter runs: whatever becomes of it, the command that asks lives on.

It imports nothing of stapes. Requests come on standard input, answers go to standard output, both as pickles:
(numbers of models that nobody needs any more, number, "load", model, arena bytes) → None,
(numbers…, number, "run", inputs, tensors, resets) → arrays. An answer is (True, value) or (False, what was wrong).
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
from typing import Any


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command that asks gets it as well, and closes the pipe
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints is no answer
    try:
        from tflite_micro import runtime
    except ImportError as error:
        _answer(answers, False, f"the Python package tflite-micro cannot be imported: {error}")
        return
    _answer(answers, True, None)
    models: dict[int, Any] = {}
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)  # from the process that started this one
        except EOFError:
            return
        try:
            unneeded, number, what, *rest = request
            for each in unneeded:
                models.pop(each, None)
            if what == "load":
                config = runtime.InterpreterConfig.kPreserveAllTensors
                models[number] = runtime.Interpreter.from_bytes(
                    rest[0], arena_size=rest[1], intrepreter_config=config
                )
                value = None
            else:
                inputs, tensors, resets = rest
                interpreter = models[number]
                if resets:
                    interpreter.reset()
                for position, given in enumerate(inputs):
                    interpreter.set_input(given, position)
                interpreter.invoke()
                value = [_tensor(interpreter, index) for index in tensors]
        except Exception as error:  # its own reader raises whatever a corrupt file leads it to
            _answer(answers, False, f"{error}")
        else:
            _answer(answers, True, value)


def _tensor(interpreter: Any, index: int) -> Any:
    """Its values. GetTensor leaves a reference to its array that nobody has, so that none would ever be freed."""
    array = interpreter.GetTensor(index, 0)["tensor_data"]
    values = array.copy()
    if sys.getrefcount(array) > 2:  # more than this function's own and the call's
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(array))
    return values


def _answer(stream: Any, good: bool, value: Any) -> None:
    pickle.dump((good, value), stream, protocol=5)
    stream.flush()


if __name__ == "__main__":
    main()
