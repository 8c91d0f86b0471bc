"""The Grafana dashboards of the chart, made from code: ``make chart``. One file per dashboard."""
