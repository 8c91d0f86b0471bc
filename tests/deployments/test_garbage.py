import subprocess
import sys

PROGRAM = """
import gc
from deployments.garbage import collect_seldom

class Ring:
    def __init__(self):
        self.me = self

kept = [Ring() for _ in range(1_000)]
collect_seldom()
assert gc.get_freeze_count() >= 1_000
assert gc.get_threshold()[0] > 10_000
rounds = sum(one["collections"] for one in gc.get_stats())
for _ in range(100_000):
    Ring()  # what is thrown away in rings is found all the same
assert sum(one["collections"] for one in gc.get_stats()) > rounds
assert sum(isinstance(one, Ring) for one in gc.get_objects()) < 50_000
"""


def test_rings_are_found_seldom_but_found_and_what_was_loaded_is_left_alone() -> None:
    """In a process of its own, for it changes the collector."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
