"""``marquee rollout arrived``: wait until what Helm's values want answers; what ``helm test`` runs."""

from typing import Annotated

import typer

from deployments.control.arrival import arm_of, check_answer, wait_until
from deployments.kubernetes.address import SCHEME, ConfigMapAddress
from recsys.core.clock import monotonic_clock
from recsys.core.errors import FieldError, UnavailableError


def arrived(
    *,
    url: Annotated[str, typer.Option(envvar="MARQUEE_URL", help="Of the service.")] = "http://127.0.0.1:8000",
    bundle: Annotated[
        str | None, typer.Option(help="In the values: a bundle's name, the beginning of one, or a channel.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(help="The ConfigMap in which the controller says how it stands: NAMESPACE/NAME."),
    ] = None,
    ray_service: Annotated[
        str | None, typer.Option(help="The RayService that has to be done with upgrades: NAMESPACE/NAME.")
    ] = None,
    any_arm: Annotated[
        bool, typer.Option("--any-arm", help="Where clients may not ask for an arm: any bundle may answer.")
    ] = False,
    at_most: Annotated[float, typer.Option(min=1.0, help="Seconds to wait.")] = 300.0,
) -> None:
    """Wait until the wanted bundle answers in full, on the cluster that was asked for last."""
    if (bundle is None) != (report is None):
        raise FieldError("bundle, report", "one of them", "both or none")

    def has_arrived() -> None:
        arm, name = None, None
        if bundle is not None and report is not None:
            arm, name = arm_of(_standing(report), bundle)
        answered = check_answer(url, None if any_arm else arm, None if any_arm else name)
        typer.echo(f"bundle {answered} answers")

    checks = [has_arrived] if ray_service is None else [lambda: _check_cluster(ray_service), has_arrived]
    wait_until(checks, at_most_s=at_most, clock=monotonic_clock, say=typer.echo)


def _standing(address: str) -> dict[str, str]:
    from deployments.kubernetes.config_map import ConfigMap  # noqa: PLC0415 - an extra
    from deployments.kubernetes.connection import core_api  # noqa: PLC0415 - an extra

    found = ConfigMap(core_api(), ConfigMapAddress.parse(f"{SCHEME}://{address}")).read()
    if found is None:
        raise UnavailableError("controller", f"there is no ConfigMap {address} yet")
    return found.data or {}


def _check_cluster(address: str) -> None:
    from deployments.kubernetes.ray_service import check_settled  # noqa: PLC0415 - an extra

    check_settled(ConfigMapAddress.parse(f"{SCHEME}://{address}"))
