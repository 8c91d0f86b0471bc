from io import StringIO

from rich.console import Console

from loadtest.live.driver import Pulse
from loadtest.live.result import ArmResult
from loadtest.live.show import arms_table, live_view

STABLE = ArmResult(
    "stable", ("b1",), 1_200, {"short list": 2}, 3, 12_000, 0, 0, 6_000, 3_000, 0.25, 0.26, 4.25, 20.0
)
NOBODY = ArmResult("", (), 0, {"timeout": 1, "status 503": 4}, 0, 0, 0, 0, 0, 0, None, None, None, None)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_arm_and_one_for_those_without() -> None:
    console = Console(file=StringIO(), width=120)
    console.print(arms_table((NOBODY, STABLE), "so far"))
    rows = [line.split() for line in printed(console).splitlines()]
    nobody = next(row for row in rows if "(none)" in row)
    stable = next(row for row in rows if "stable" in row)
    assert [word for word in nobody if word != "│"] == [
        "(none)",
        "-",
        "0",
        "5",
        "0",
        "0",
        "0",
        "-",
        "-",
        "-",
        "-",
    ]
    assert [word for word in stable if word != "│"][:5] == ["stable", "b1", "1,200", "2", "3"]
    assert "0.2500" in stable


def test_without_a_terminal_a_line_comes_every_few_seconds() -> None:
    console = Console(file=StringIO(), width=120)
    with live_view(console) as view:
        for at_s in (1.0, 4.0, 6.0, 7.0, 12.0):
            view.show(Pulse(at_s, 100, 1, (STABLE,)))
    lines = printed(console).splitlines()
    assert [line.split()[0] for line in lines] == ["6", "12"]
    assert lines[0].endswith("stable: 1,200 answers, 2 failed, watch rate 0.2500")
