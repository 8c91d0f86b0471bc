"""How large the world of the loop is, how fast it turns, and what happens when."""

from typing import Final

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from loadtest.live.settings import LiveSettings, PopulationSettings
from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.core.settings import FrozenModel
from recsys.drift.fit import ProfileConfig
from recsys.drift.policy import PolicyConfig
from recsys.experiments.guardrails import Guardrail
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import KnowledgeConfig
from recsys.recall.bilinear import BilinearConfig
from recsys.recall.learning import LearningConfig
from recsys.recall.popularity import PopularityRecallConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.rollout.plan import RolloutPlan, Step
from recsys.simulation.scenario import Scenario, scenario_named
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.two_stage import TrainingConfig

_SHIFT_HOUR: Final = 18  # of the day: 18:00, UTC


class LoopSettings(FrozenModel):
    """A run of the loop; days are days of the world."""

    n_users: PositiveInt = 400
    """Users of the world."""
    n_items: PositiveInt = 600
    """Videos."""
    n_events: PositiveInt = 16_000
    """Rows of the simulated past, before anybody uses the service."""
    past_days: PositiveInt = 28
    """Days of it."""
    settled_days: PositiveInt = 14
    """Days on which users get lists of a first bundle: what drift is compared with."""
    quiet_days: PositiveInt = 4
    """Whole days of watching before the day of the shift."""
    after_days: PositiveInt = 8
    """Days after the promotion."""
    most_days: PositiveInt = 45
    """So many days from the beginning, and the run is over, promoted or not."""
    lists_per_day: PositiveFloat = 240.0
    """Lists asked for on a day, on average; of these visits some need none, see ``own_share``."""
    own_share: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Share of visits on which people look for something by themselves, as they do on any site."""
    day_s: PositiveFloat = 6.0
    """Seconds that a day lasts."""
    seed: NonNegativeInt = 7
    """Of the world, its users and their luck."""

    @property
    def scenario(self) -> Scenario:
        """The world: everybody turns to three topics that nobody cared for before."""
        sized = scenario_named("shift", n_users=self.n_users, n_items=self.n_items, n_events=self.n_events)
        return sized.model_copy(
            update={
                "name": "loop",
                "n_days": self.past_days,
                "shift_at_hour": (self.past_days + self.settled_days + self.quiet_days) * 24.0 + _SHIFT_HOUR,
                "n_topics": 12,
                "last_n_topics": 3,
                "new_fashions": True,
            }
        )

    @property
    def begins_s(self) -> float:
        """Time of the world, Unix seconds, at which users meet the service."""
        return self.scenario.ends_s + self.settled_days * SECONDS_PER_DAY

    @property
    def shifts_s(self) -> float:
        """Time of the world at which tastes shift."""
        hour = self.scenario.shift_at_hour or 0.0
        return self.scenario.starts_s + hour * SECONDS_PER_HOUR

    @property
    def speed(self) -> float:
        """Seconds of the world per second."""
        return SECONDS_PER_DAY / self.day_s

    def users_from(self, world_s: float) -> LiveSettings:
        """Return who comes from a time of the world on."""
        return LiveSettings(
            population=PopulationSettings(
                rate_per_s=self.lists_per_day / self.day_s,
                speed=self.speed,
                from_day=(world_s - self.scenario.starts_s) / SECONDS_PER_DAY,
                lists_per_session=2.0,
                new_share=0.2,
                own_share=self.own_share,
            ),
            seed=self.seed,
            timeout_s=60.0,
        )

    @property
    def training(self) -> TrainingConfig:
        """How bundles are made: small, and their profile is of the days with the service alone."""
        return TrainingConfig(
            knowledge=KnowledgeConfig(
                recall=RecallConfig(
                    bilinear=BilinearConfig(learning=LearningConfig(n_epochs=2, n_dimensions=16)),
                    sequential=SequentialConfig(half_life_days=4.0),
                    popularity=PopularityRecallConfig(half_life_row=0),
                )
            ),
            boosting=BoostingConfig(n_trees=40),
            cross_fit=CrossFitConfig(max_questions=2_000),
            n_candidates=100,
            profile=ProfileConfig(n_windows=self.settled_days, fewest_clusters=1),
        )

    @property
    def policy(self) -> PolicyConfig:
        """Two windows in a row raise an alarm; one refresh, then a fortnight of nothing but alerts."""
        return PolicyConfig(cool_down_s=14 * SECONDS_PER_DAY)

    @property
    def plan(self) -> RolloutPlan:
        """How the refresh comes to all users."""
        day = SECONDS_PER_DAY
        return RolloutPlan(
            steps=(
                Step(share=0.1, min_time=0.5 * day, min_exposures=20),
                Step(share=0.5, min_time=0.5 * day, min_exposures=100),
                Step(share=1.0, min_time=0.5 * day, min_exposures=50),
            ),
            guardrails=(
                Guardrail(metric="error_share", compare="difference", limit=0.002, min_sample=5),
                Guardrail(metric="degraded_share", compare="difference", limit=0.02, min_sample=5),
                Guardrail(metric="short_share", compare="difference", limit=0.02, min_sample=5),
                Guardrail(metric="watch_rate", compare="ratio", limit=0.9, min_sample=5),
                Guardrail(metric="sample_ratio", compare="value", limit=0.001, min_sample=20),
            ),
            hold=2 * day,
            max_age=5 * day,  # seconds of the machine are hours of the world
            blind_for=20 * day,
            prepare_for=20 * day,
        )
