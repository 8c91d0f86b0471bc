import httpx

from deployments.ingest_metrics import ingest_metrics
from recsys.streams.figures import IngestFigures


def test_figures_are_shown_as_they_are_when_somebody_asks() -> None:
    figures = IngestFigures()
    with ingest_metrics(figures, "127.0.0.1", 0) as port:
        figures.fates["accepted"] = 3
        figures.poison["future"] = 2
        figures.lag["marquee.events/0"] = 7
        figures.behind_s = 1.5
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'marquee_ingest_messages_total{fate="accepted"} 3.0' in page
    assert 'marquee_ingest_dead_letters_total{reason="future"} 2.0' in page
    assert 'marquee_ingest_dead_letters_total{reason="malformed"} 0.0' in page
    assert 'marquee_ingest_lag{source="marquee.events/0"} 7.0' in page
    assert "marquee_ingest_behind_seconds 1.5" in page
    assert "marquee_ingest_landed_total 0.0" in page
