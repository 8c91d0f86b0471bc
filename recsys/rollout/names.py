"""Names that the traffic document, the plan and the rollout share."""

from typing import Annotated, Final

from pydantic import Field

from recsys.registry.manifest import NAME_PATTERN

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""Of an arm, a lane or an experiment."""
BundleName = Annotated[str, Field(pattern=NAME_PATTERN)]

LANES: Final = ("blue", "green")
STABLE: Final = "stable"
CANARY: Final = "canary"
SHADOW: Final = "shadow"
"""Under this name is counted what the lane did that works unseen."""
ROLLOUT_EXPERIMENT: Final = "rollout"
"""The name under which users are dealt to the arms of a rollout; no experiment may have it."""
