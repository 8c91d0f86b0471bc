"""Verdicts in, actions out: the policy with its memory and with what carries actions out."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from recsys.core.errors import RecsysError
from recsys.drift.compare import WindowVerdict
from recsys.drift.journal import Journal, Memory
from recsys.drift.policy import Action, Alarm, PolicyConfig, for_bundle, judge

_LOG: Final = logging.getLogger(__name__)

CarryOut = Callable[[Alarm], None]
"""Does what an alarm asks for; raises RecsysError when it cannot. May be asked twice under the same id."""


@dataclass(frozen=True)
class Watcher:
    """Takes windows in, one after another, and lets actions be carried out; restarts forget nothing."""

    journal: Journal
    config: PolicyConfig
    actions: Mapping[Action, CarryOut] = field(default_factory=dict)  # of those that are more than an alert

    def finish(self) -> Alarm | None:
        """Do what was still to be done when the last process ended; return it, None when there is nothing."""
        memory = self.journal.read()
        if memory.pending is not None:
            self._carry_out(memory, memory.pending)
        return memory.pending

    def take(self, bundle: str, verdicts: Iterable[WindowVerdict]) -> list[Alarm]:
        """Take windows in that were compared with a bundle's profile; return the alarms that they raised.

        Args:
            bundle: the bundle's name; another one than before begins anew.
            verdicts: in order of time; those that were taken in before change nothing.
        """
        raised = []
        for verdict in verdicts:
            memory = self.journal.read()
            standing = for_bundle(memory.standing, bundle)
            after, alarm = judge(standing, verdict, self.config)
            if after is standing:
                continue
            kept = memory.model_copy(
                update={
                    "standing": after,
                    "pending": alarm,
                    "n_windows": memory.n_windows + 1,
                    "n_alarms": memory.n_alarms + (alarm is not None),
                }
            )
            self.journal.keep(kept)
            if alarm is not None:
                raised.append(alarm)
                self._carry_out(kept, alarm)
        return raised

    def _carry_out(self, memory: Memory, alarm: Alarm) -> None:
        """Tell of an alarm, do what it asks for, strike it out; what failed is told and not tried again."""
        if self.journal.note(alarm):
            _LOG.warning("drift of bundle %s, %s: %s", alarm.bundle, alarm.action.value, alarm.sentence)
        carry_out = self.actions.get(alarm.action)
        if carry_out is not None:
            try:
                carry_out(alarm)
            except RecsysError:
                _LOG.exception("drift: %s of bundle %s failed", alarm.action.value, alarm.bundle)
        elif alarm.action is not Action.ALERT:
            _LOG.warning("drift: nobody carries out %s", alarm.action.value)
        self.journal.keep(memory.model_copy(update={"pending": None}))
