"""``python -m deployments.dashboards charts/marquee/files/dashboards``: write the dashboards."""

import sys
from pathlib import Path

from deployments.dashboards.files import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
