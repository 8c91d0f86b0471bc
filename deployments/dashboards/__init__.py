"""The Grafana dashboards of the chart, made from code: ``make dashboards``. One file per dashboard."""
