import pytest

from recsys.cli.progress import steps_shown


def test_where_nobody_watches_a_line_comes_twice_a_minute_and_short_work_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments_s = iter([100.0, 110.0, 131.0, 150.0, 161.0])
    with steps_shown(clock=lambda: next(moments_s)) as on_step:
        on_step("reading", 0.0)
        on_step("fold 1 of 3: [recall]", 0.25)
        on_step("fold 2 of 3", 0.5)
        on_step("writing the bundle", 0.0)
    written = capsys.readouterr()
    assert written.err == "31 s: fold 1 of 3: [recall] 25%\n61 s: writing the bundle\n"
    assert written.out == ""
