"""``python -m deployments.chart charts``: write what the charts take from the program, and their READMEs."""

import sys
from pathlib import Path

from deployments.chart.generated import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
