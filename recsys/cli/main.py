"""The ``marquee`` command: one verb per file, each found through the ``marquee.commands`` entry points.

The edges (``deployments``, ``loadtest``) add their verbs the same way, so nothing here imports them.
"""

import re
from importlib.metadata import EntryPoint, entry_points, requires, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recsys.core.errors import RecsysError, UnavailableError

_PACKAGE = "marquee-recsys"
_OURS = frozenset({"deployments", "loadtest", "recsys", "tuning"})


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
        try:
            verb = point.load()
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing in _OURS:
                raise
            verb = _without(missing)
        command = typer.main.get_command(verb)
        command.name = cmd_name
        return command


def _without(missing: str) -> typer.Typer:
    """Return what stands in for a verb whose extra is not installed, so that all others can be listed."""
    verb = typer.Typer(pretty_exceptions_enable=False)
    needs = f"Needs {missing}, which is not installed."

    @verb.command(help=needs, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def refuse() -> None:
        raise UnavailableError("this command", f"{missing} is not installed; {_hint(missing)}")

    return verb


def _hint(missing: str) -> str:
    """Return how to get a module, by what our own package says of its extras."""
    wanted = missing.replace("_", "-").lower()
    for requirement in requires(_PACKAGE) or ():
        name, _, condition = requirement.partition(";")
        extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", condition)
        if extra and re.split(r"[^\w-]", name.strip())[0].lower() == wanted:
            return f"pip install '{_PACKAGE}[{extra[1]}]'"
    return f"an extra of {_PACKAGE} brings it"


app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"marquee {version(_PACKAGE)}")
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
