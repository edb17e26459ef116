"""The figures of docs/cycles.md: `python -m stapes.cycles.page`."""

from __future__ import annotations

import statistics

from stapes.cycles.validation import sources


def tables() -> str:
    """Every figure, and what each source comes to, as Markdown."""
    parts = []
    for source in sources():
        rows = [
            f"| {each.name} | {each.published:,} | {each.estimate:,} | {each.error:+.1f} % |"
            for each in source.figures
        ]
        errors = [abs(each.error) for each in source.figures]
        parts += [
            f"### {source.title}",
            f"{source.chip} at {source.clock}, {source.wait_states} wait states. {source.program} "
            f"Source: {source.address}.",
            "\n".join(["| program | published cycles | estimate | error |", "|---|---|---|---|", *rows]),
            f"{len(errors)} figures: wrong by {statistics.median(errors):.1f} % in the median, "
            f"{max(errors):.1f} % at most.",
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
