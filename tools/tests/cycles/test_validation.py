"""The error that is printed is the one that was found; where none was found, nothing is printed."""

import re
import statistics
from pathlib import Path

import pytest

from stapes.cycles import known_error
from stapes.cycles.page import tables
from stapes.cycles.validation import sources
from stapes.errors import TargetError
from stapes.firmware.boards import Board, all_boards

PAGE = Path(__file__).parents[3] / "docs/cycles.md"


def test_the_page_shows_every_figure() -> None:
    assert tables() in PAGE.read_text(encoding="utf-8")


def test_the_error_is_that_of_the_same_flash_with_data_in_it() -> None:
    networks = next(source for source in sources() if source.title.startswith("MLPerf"))
    errors = [abs(100 * (each.estimate / each.published - 1)) for each in networks.figures]
    known = known_error(Board.load("nucleo_l476rg"))
    assert (known.figures, known.median, known.worst) == (8, statistics.median(errors), max(errors))
    assert known.worst < 15


@pytest.mark.parametrize("board", [board for board in all_boards() if board.name != "nucleo_l476rg"])
def test_no_other_board_is_given_a_time(board: Board) -> None:
    with pytest.raises(TargetError) as refused:
        known_error(board)
    core = re.sub("F$", "", board.core)
    reasons = {True: "published figures|emulator", False: f"this is a {board.core}"}
    assert re.search(reasons[core == "Cortex-M4"], str(refused.value)), refused.value


def test_published_figures_are_what_their_throughput_says() -> None:
    keywords = [each for each in sources()[0].figures if each.name == "keyword spotting, microTVM native"]
    assert [each.published for each in keywords] == [round(120e6 / 6.943)]
