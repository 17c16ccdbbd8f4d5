"""The section's README names every command and option, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys

from section5.predict import Predictor
from section5.settings import ROOT, Settings

PAGE = (ROOT / "section5" / "README.md").read_text()


def test_every_command_and_option_is_documented() -> None:
    def helped(*arguments: str) -> str:
        command = [sys.executable, "section5_manage.py", *arguments, "--help"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    commands = re.findall(r"^    ([a-z]+) {2,}", helped(), re.MULTILINE)
    assert len(commands) >= 7
    for command in commands:
        assert re.search(rf"(run |`){command}\b", PAGE), command
        for option in set(re.findall(r"--[a-z][a-z-]+", helped(command))):
            assert option in PAGE, option


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert len(links) >= 3
    for link in links:
        assert (ROOT / "section5" / link).exists(), link


def test_the_answer_is_the_printed_one(predictor: Predictor, chosen: Settings) -> None:
    assert predictor.answer(chosen.query).text() in PAGE
