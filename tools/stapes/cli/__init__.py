"""The command line: parse, call, print."""


def main() -> None:
    """Entry point."""
    try:
        from stapes.cli.app import run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()
