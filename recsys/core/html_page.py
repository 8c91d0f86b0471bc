"""A page of HTML that needs nothing else: no script, no font, no file beside it."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#111827;background:#fff;max-width:62rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #e5e7eb}
th:first-child,td:first-child,.word{text-align:left}
.tiles{display:flex;gap:1rem;flex-wrap:wrap;margin:1.2rem 0}
.tile{border:1px solid #e5e7eb;border-radius:.5rem;padding:.5rem 1rem;min-width:7rem}
.tile b{display:block;font-size:1.35rem}
.warning{background:#fef3c7;border-left:4px solid #d97706;padding:.5rem 1rem;margin:.5rem 0}
.invalid{background:#fee2e2;border-left:4px solid #b91c1c;font-weight:600}
.box{padding:.5rem 1rem;margin:.5rem 0}.good{background:#ecfdf5;border-left:4px solid #047857}
.advice{font-size:1.15rem;font-weight:600;margin:1rem 0}
.passed{color:#047857}.failed{color:#b91c1c;font-weight:600}.muted{color:#6b7280}.words td{text-align:left}
svg{max-width:100%;height:auto}code{font-size:.85rem;overflow-wrap:anywhere}.scroll{overflow-x:auto}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Return a page of given parts, which are HTML; the title is text."""
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)}</title>"
        f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def table_of(head: Iterable[str], rows: Iterable[Sequence[str]], *, n_words: int = 1) -> str:
    """Return an HTML table of text; every cell is escaped.

    Args:
        head: names of the columns.
        rows: as many cells each.
        n_words: how many columns, from the left, are words; figures stand at the right.
    """
    top = "".join(_cells("th", list(head), n_words))
    body = "".join(f"<tr>{''.join(_cells('td', row, n_words))}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _cells(tag: str, texts: Sequence[str], n_words: int) -> Iterator[str]:
    for place, text in enumerate(texts):
        kind = " class=word" if 0 < place < n_words else ""
        yield f"<{tag}{kind}>{escape(text)}</{tag}>"
