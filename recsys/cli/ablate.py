"""``marquee ablate``: what each group of features, or each change of settings, is worth."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from recsys.cli.data_source import data_source
from recsys.cli.progress import steps_shown
from recsys.cli.train import read_config
from recsys.core.clock import unix_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import DataFormatError
from recsys.data.badrows import OnBadRow
from recsys.data.log import Vocabulary, encode
from recsys.evaluation.protocols import Protocol
from recsys.training.ablation import (
    METRICS,
    AblationConfig,
    ArmRow,
    Worth,
    ablate,
    arms_of,
    group_arms,
    validation_split,
)

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(name="ablate")
def main(
    *,
    data: Annotated[str, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")],
    protocol: Annotated[Protocol, typer.Option(help="Which past a model may learn from.")] = (
        Protocol.LEAVE_LAST_OUT
    ),
    config: Annotated[Path | None, typer.Option(help="JSON file with the settings of the base.")] = None,
    changes: Annotated[
        Path | None,
        typer.Option(help='JSON file of arms, as {"deep": {"boosting": {"max_depth": 8}}}; not the groups.'),
    ] = None,
    positions: Annotated[int, typer.Option(min=1, help="leave-last-out: questions per user.")] = 10,
    max_questions: Annotated[int, typer.Option(min=1, help="Ask a sample when there are more.")] = 6_000,
    seed: Annotated[int, typer.Option(min=0, help="Of training, bootstrap and sampling.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
) -> None:
    """Leave out one group of features (or make one change) at a time, and compare on validation questions."""
    base = read_config(config).model_copy(update={"seed": seed})
    arms = group_arms(base) if changes is None else arms_of(base, read_changes(changes))
    judged_by = AblationConfig(n_positions=positions, max_questions=max_questions)
    with steps_shown() as on_step:
        on_step(f"reading {data}", 0.0)
        dataset = data_source(data).load(on_bad_row=on_bad_row, now_s=unix_clock()).dataset
        log = encode(dataset, Vocabulary(dataset.items["item_id"].to_list()))
        split = validation_split(log, protocol, judged_by, seed=seed)
        rows = ablate(split, dataset.items, base, arms, judged_by, seed=seed, on_step=on_step)
    if json_file is not None:
        replace_durably(
            json_file, orjson.dumps([row.model_dump() for row in rows], option=orjson.OPT_INDENT_2)
        )
    typer.echo(table(rows), nl=False)


def read_changes(path: Path) -> dict[str, Any]:
    """Return the arms of a JSON file: by name, the settings that differ from the base.

    Raises:
        DataFormatError: there is no such file, or it holds something else.
    """
    wanted = "a JSON object of settings by the name of their arm"
    try:
        changes = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataFormatError(path, wanted, str(error)) from error
    if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
        raise DataFormatError(path, wanted, "something else")
    return changes


def table(rows: list[ArmRow]) -> str:
    """Return the arms as a Markdown table; brackets hold 95 % of the bootstrap draws of the difference."""
    head = ["arm", *METRICS, "fit s", "training rows", "ms per request"]
    lines = [head, ["---"] * len(head)]
    for number, row in enumerate(rows):
        worths = [_worth(row.metrics[metric], is_base=number == 0) for metric in METRICS]
        lines.append([row.arm, *worths, f"{row.fit_s:.1f}", f"{row.n_rows:,}", f"{row.ms_per_request:.3f}"])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _worth(worth: Worth, *, is_base: bool) -> str:
    if is_base:
        return f"{worth.value:.4f}"
    return f"{worth.value:.4f}, {worth.difference:+.4f} [{worth.low:+.4f}, {worth.high:+.4f}]"
