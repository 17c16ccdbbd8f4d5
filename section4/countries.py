"""Countries, as people and APIs name them."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import NamedTuple

from batch import config
from batch.errors import ConfigError

# Short names and API slugs that ISO 3166 does not have.
ALIASES = {
    "bolivia": "BO",
    "brunei": "BN",
    "cape-verde": "CV",
    "cote-d-ivoire": "CI",
    "czech-republic": "CZ",
    "iran": "IR",
    "ivory-coast": "CI",
    "korea-south": "KR",
    "laos": "LA",
    "macedonia": "MK",
    "moldova": "MD",
    "north-korea": "KP",
    "palestine": "PS",
    "russia": "RU",
    "south-korea": "KR",
    "syria": "SY",
    "taiwan": "TW",
    "tanzania": "TZ",
    "turkey": "TR",
    "uk": "GB",
    "usa": "US",
    "venezuela": "VE",
    "vietnam": "VN",
}


class Country(NamedTuple):
    """A country: its ISO 3166-1 codes of two and three letters, its name, and what URLs call it."""

    code: str
    code3: str
    name: str
    slug: str


def find(text: str, where: str = "countries") -> Country:
    """The country with this ISO code, name or slug. Raises ConfigError, with a suggestion, where there is none."""
    known = _known()
    wanted = slug_of(text)
    found = known.get(wanted)
    if found is None:
        names = [name for name in known if len(name) > 3]
        raise ConfigError(f"there is no country `{text}`", where=where, hint=_suggest(wanted, names))
    # A slug that ISO does not have is an API's own: the API is asked with it.
    return found._replace(slug=wanted) if wanted in ALIASES else found


def slug_of(name: str) -> str:
    """A name as URLs have it: `Côte d'Ivoire` is `cote-d-ivoire`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _suggest(wanted: str, names: list[str]) -> str:
    hint = config.suggest(wanted, names)
    return hint if hint.startswith("Did") else "Give its ISO code (SG, SGP), its name or its slug (united-kingdom)."


@functools.cache
def _known() -> dict[str, Country]:
    import pycountry

    known: dict[str, Country] = {}
    for entry in pycountry.countries:
        name = getattr(entry, "common_name", entry.name)
        country = Country(entry.alpha_2, entry.alpha_3, name, slug_of(name))
        for text in (entry.alpha_2, entry.alpha_3, entry.name, name, getattr(entry, "official_name", name)):
            known[slug_of(text)] = country
    return known | {alias: known[code.casefold()] for alias, code in ALIASES.items()}
