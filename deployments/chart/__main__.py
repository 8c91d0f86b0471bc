"""``python -m deployments.chart charts/marquee``: write what the chart takes from the program."""

import sys
from pathlib import Path

from deployments.chart.generated import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
