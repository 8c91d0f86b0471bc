"""``python -m deployments.chart charts/marquee``: what the chart takes from the program, and its README."""

import sys
from pathlib import Path

from deployments.chart.generated import write
from deployments.chart.readme import renew

if __name__ == "__main__":
    for chart in map(Path, sys.argv[1:]):
        write(chart)
        renew(chart)
