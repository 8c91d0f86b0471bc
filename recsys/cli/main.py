"""The ``marquee`` command: one verb per file, each found through the ``marquee.commands`` entry points.

The edges (``deployments``, ``loadtest``) add their verbs the same way, so nothing here imports them.
"""

from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recsys.core.errors import RecsysError


class Verbs(TyperGroup):
    """Loads a verb only when it is called, so that ``marquee --help`` stays quick."""

    @staticmethod
    def _found() -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group="marquee.commands")}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's click is private
        """Return the names of all verbs."""
        del ctx
        return sorted(self._found())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - typer's click is private
        """Load one verb; None when there is none of that name."""
        del ctx
        point = self._found().get(cmd_name)
        if point is None:
            return None
        command = typer.main.get_command(point.load())
        command.name = cmd_name
        return command


app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"marquee {version('marquee-recsys')}")
        raise typer.Exit


@app.callback()
def marquee(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Marquee recommends videos: data to model to HTTP, on a laptop or on Kubernetes."""
    del version


def main() -> None:
    """Run the command; an error of ours is one sentence and exit code 1, not a traceback."""
    try:
        app()
    except RecsysError as error:
        typer.echo(f"marquee: {error}", err=True)
        raise SystemExit(1) from error
