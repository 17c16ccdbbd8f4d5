"""The design page: its generated parts in the Markdown, and the whole as HTML with its pictures."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

from batch.errors import DataError
from section3 import charts, drawing, tables
from section3.outcome import Outcome, fingerprint
from section3.settings import Prices

FOLDER = drawing.FOLDER
PAGE = FOLDER / "README.md"
SITE = FOLDER / "resource" / "dest" / "site"
LINKED = ("conf", "diagrams", "terraform")
STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d1d1f }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #ccc; padding: .3rem .6rem; vertical-align: top }
th { background: #f4f4f4; text-align: left } code, pre { background: #f4f4f4 } pre { padding: .8rem; overflow-x: auto }
img { max-width: 100%; height: auto; background: white } figure { margin: 1.5rem 0 } a { color: #0645ad }
"""


def parts(outcome: Outcome, prices: Prices) -> dict[str, str]:
    """What the simulation writes into the page, by the name of its place."""
    mark = f"<!-- simulation {fingerprint()} -->\n"
    return {
        "capacity": mark + tables.capacity(outcome),
        "scaling": tables.scaling(outcome),
        "cost": tables.bill(outcome, prices),
        "prices": tables.sources(prices),
    }


def diagrams() -> dict[str, str]:
    """The diagrams as they stand in the page, by the name of their place."""
    return {f"diagram {name}": f"```mermaid\n{drawing.source(name)}```" for name in drawing.DIAGRAMS}


def fill(text: str, contents: dict[str, str]) -> str:
    """A page with other contents between `<!-- NAME -->` and `<!-- /NAME -->`. Raises DataError without that place."""
    for name, content in contents.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, found = place.subn(partial(_filled, content), text)
        if not found:
            hint = f"Add <!-- {name} --> and <!-- /{name} -->, each on a line of its own."
            raise DataError(f"there is no place for `{name}`", where=str(PAGE), hint=hint)
    return text


def _filled(content: str, place: re.Match[str]) -> str:
    return f"{place[1]}{content}\n{place[2]}"


def is_current(text: str) -> bool:
    """Whether the page's tables were made from the configuration and the code as they are now."""
    return f"<!-- simulation {fingerprint()} -->" in text


def build(site: Path = SITE) -> Path:
    """Write the page as HTML, with its pictures, into a folder of its own; returns its index."""
    from markdown_it import MarkdownIt

    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    for picture in [*map(drawing.picture, drawing.DIAGRAMS), *(FOLDER / charts.name(chart) for chart in charts.CHARTS)]:
        shutil.copy(picture, site)
    text = re.sub(
        r"<!-- diagram (\w+) -->\n```mermaid\n.*?```\n<!-- /diagram \1 -->",
        lambda match: f"![{match[1]}]({drawing.picture(match[1]).name})",
        PAGE.read_text(),
        flags=re.DOTALL,
    )
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r"\[([^]]+)\]\(\.\./[^)]+\)", r"`\1`", text)  # another section's page is not served here
    for folder in LINKED:
        shutil.copytree(FOLDER / folder, site / folder)
    body = MarkdownIt("commonmark").enable("table").render(text)
    title = "Section 3: an image platform in the cloud"
    index = site / "index.html"
    index.write_text(
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{STYLE}</style>\n{body}</html>\n'
    )
    return index
