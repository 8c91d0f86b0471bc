"""Settings of models that learn in a moment, for tests that look at something else."""

from typing import Final

from recsys.recall.bilinear import BilinearConfig
from recsys.recall.learning import LearningConfig

BILINEAR: Final = BilinearConfig(learning=LearningConfig(n_epochs=1, n_dimensions=8))
"""The one source whose fit takes as long as it is given."""
