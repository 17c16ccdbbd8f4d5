"""The rules give the published file byte for byte, and a mistake in them is refused at its line."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from batch.errors import ConfigError, DataError
from section5 import rules
from section5.rules import Rules
from section5.settings import ROOT, Settings

PUBLISHED = "b703a9ac69f11e64ce8c223c0a40de4d2e9d769f7fb20be5f8f2e8a619893d83"
ORIGINAL = ROOT.parent / "shared" / "data" / "car" / "car.data"


def test_the_rules_give_the_published_file(made: Rules) -> None:
    assert hashlib.sha256(made.csv()).hexdigest() == PUBLISHED
    assert Counter(made.classes) == {"unacc": 1210, "acc": 384, "good": 69, "vgood": 65}


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the original is not at hand")
def test_the_original_is_the_same(made: Rules) -> None:
    assert ORIGINAL.read_bytes() == made.csv()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("comfort  safety  quality", "comfort  safty  quality", "Did you mean `safety`?"),
        ("comfort  safety  quality", "comfort  safety", "must name the inputs and then `quality`"),
        ("none     *       bad", "none     *       *       bad", "3 cells are needed and 4 are there"),
        ("med     poor\n", "mid     poor\n", "`mid` is no value of `safety`\n  Did you mean `med`?"),
        ("high       poor     unacc", "hihg       poor     unacc", "`hihg` is no value of `cost`"),
        ("low        fair     good", "low        fair     goood", "Did you mean `good`?"),
        ("good     high    top", "good     med     top", "decides nothing that the lines above have left"),
        ("    good     high    top\n", "", "no line decides good, high"),
        ("safety: [low, med, high]", "safety: [low, med, med]", "a value of `safety` is given twice"),
        ("safety: [low, med, high]", "safety: [low, med, 3]", "Expected `str`, got `int`"),
        ("  class: |", "  verdict: |", "no table decides the last column, `class`"),
        ("sha256:", "sha:", "unknown key `sha`"),
    ],
)
def test_a_mistake_is_refused_at_its_line(old: str, new: str, problem: str, chosen: Settings, tmp_path: Path) -> None:
    text = chosen.path("rules").read_text()
    assert old in text, old
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        rules.load(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_changed_rules_need_a_changed_checksum(chosen: Settings, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(chosen.path("rules").read_text().replace("low        fair     good", "low        fair     vgood"))
    changed = rules.load(path)
    with pytest.raises(DataError, match="the tables give a file with the SHA-256"):
        changed.csv()
