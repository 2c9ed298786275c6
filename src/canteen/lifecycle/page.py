"""Reports as pages of HTML that need nothing else to be shown."""

from collections.abc import Sequence
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #bbb; padding: .25rem .6rem; text-align: left; vertical-align: top }
td { white-space: pre-wrap; overflow-wrap: anywhere }
svg { max-width: 100%; height: auto }
"""


def page(title: str, body: str) -> str:
    """A whole page; the title is text, the body is HTML."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        f"<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Texts in rows under a head, below a heading if there is a title."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    above = f"<h2>{escape(title)}</h2>\n" if title else ""
    return f"{above}<table><tr>{top}</tr>\n{body}</table>"


def listed(facts: Sequence[str]) -> str:
    """Texts as the points of a list."""
    return f"<ul>{''.join(f'<li>{escape(fact)}</li>' for fact in facts)}</ul>"
