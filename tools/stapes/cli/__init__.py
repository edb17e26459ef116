"""The command line: parse, call, print."""


def main() -> None:
    """Entry point."""
    from stapes.cli.app import run

    run()
