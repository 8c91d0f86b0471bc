"""The page at ``/docs``: one file, nothing from elsewhere, so that it works without a network."""

from importlib.resources import files

DOCS_PAGE: str = (files("deployments") / "docs.html").read_text(encoding="utf-8")
"""It reads ``openapi.json``, shows every path with its fields and examples, and lets one try them."""
