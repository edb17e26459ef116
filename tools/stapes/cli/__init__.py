"""The command line: parse, call, print."""

import os


def main() -> None:
    """Entry point."""
    # NumPy's threads for products of matrices spin for a tenth of a second each before they sleep, from its import on.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    try:
        from stapes.cli.app import run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()
