"""What section1_process.yaml may say: each mistake is refused at its line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from batch.errors import ConfigError
from section1 import settings
from section1.settings import ROOT, Task

SHIPPED = ROOT / "section1" / "conf" / "section1_process.yaml"

Edited = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """The shipped configuration with texts replaced; each must occur."""

    def edit(*changes: tuple[str, str]) -> Path:
        text = SHIPPED.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "task.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return edit


def refused(path: Path, marker: str) -> ConfigError:
    """The error of loading a file; it must name the line where the marker stands first."""
    with pytest.raises(ConfigError) as caught:
        settings.load(str(path), [])
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next(n for n, text in enumerate(lines, 1) if marker in text)
    assert caught.value.where == f"{path}:{number}", caught.value
    return caught.value


def test_the_shipped_configuration_loads() -> None:
    task = settings.load("section1_process.yaml", ["as_of=2023-01-01", "minimum_age=21"])
    assert task.document.path == SHIPPED
    assert str(task.settings.parameters["as_of"]) == "2023-01-01"
    assert task.settings.parameters["minimum_age"] == 21
    assert task.settings.rule("mobile").after == []
    assert task.settings.rule("age").after == ["date", "ambiguous_date"]
    assert task.settings.input.folder == str(ROOT / "section1/resource/src/application")


def test_the_environment_names_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for master, engine in (("spark://master:7077", "spark"), ("", "duckdb")):
        monkeypatch.setenv("SECTION1_MASTER", master)
        task = settings.load("section1_process.yaml", [])
        assert (task.settings.spark.master, task.settings.engine_name) == (master or "local[*]", engine)


def test_options_lie_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = settings.load("section1_process.yaml", [], engine="spark", source="in", destination="out")
    assert task.settings.engine_name == "spark"
    assert task.settings.input.folder == str(tmp_path / "in"), "relative to where it was typed"
    assert task.settings.output.folder == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("engine", "master", "name"),
    [
        ("auto", "local[*]", "duckdb"),
        ("auto", "local", "duckdb"),
        ("auto", "spark://head:7077", "spark"),
        ("duckdb", "spark://head:7077", "duckdb"),
        ("spark", "local[2]", "spark"),
    ],
)
def test_auto_takes_spark_where_a_cluster_is_configured(edited: Edited, engine: str, master: str, name: str) -> None:
    path = edited(("engine: auto  ", f'engine: {engine}\nspark: {{master: "{master}"}}  '))
    assert settings.load(str(path), []).settings.engine_name == name


def test_a_name_is_a_path_first_and_then_a_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.find("section1_process.yaml") == SHIPPED
    (tmp_path / "section1_process.yaml").write_text("")
    assert settings.find("section1_process.yaml") == Path("section1_process.yaml")


def test_a_missing_file_is_named_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        settings.load("section1_proces.yaml", [])
    assert caught.value.where == "section1_proces.yaml"
    assert caught.value.hint == "Did you mean `section1_process.yaml`?"


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        # unknown keys and wrong values, at every depth
        ("schedule:", "shedule:", "unknown key `shedule`", "`schedule`"),
        ("  patterns:", "  paterns:", "unknown key `paterns`", "`patterns`"),
        ("    fallback: reject ", "    falback: reject ", "unknown key `falback`", "`fallback`"),
        ("    test: above_18", "    tests: above_18", "unknown key `tests`", "`test`"),
        ("  keep_runs: 744", "  keep_run: 744", "unknown key `keep_run`", "`keep_runs`"),
        ("    folder: successful_application", "    foldr: successful_application", "unknown key `foldr`", "`folder`"),
        ("engine: auto ", "engine: polars ", "Invalid enum value 'polars'", ""),
        ("keep_runs: 744", "keep_runs: 0", "Expected `int` >= 1", ""),
        ("view: applications ", "chunk_bytes: 268435457\n  view: applications ", "Expected `int` <= 268435456", ""),
        ("fallback: reject", "fallback: guess", "Invalid enum value 'guess'", ""),
        ('"9999/99/99": infer', '"9999/99/99": infr', "Invalid enum value 'infr'", ""),
        ('"9999-99-99": month_first', "9999-99-99: month_first", "looks like a date", '"9999-99-99"'),
        ("view: applications", "view: the applications", "`the applications` is not a name", ""),
        ("folder: successful_application", "folder: ../elsewhere", "`../elsewhere` is not a name", ""),
        ("folder: section1/resource/dest", 'folder: ""', "Expected `str` of length >= 1", ""),
        ('patterns: ["*.csv", "*.csv.gz"]', "patterns: []", "Expected `array` of length >= 1", ""),
        # dates
        ("column: date_of_birth", "column: date_of_brith", "unknown column `date_of_brith`", "`date_of_birth`"),
        ('"9999/99/99": infer', '"99/99/99": infer', "`99/99/99` is not the shape of a date", "99/99/9999"),
        ('"9999/99/99": infer', '"yyyy/mm/dd": infer', "`yyyy/mm/dd` is not the shape of a date", "99/99/9999"),
        ('"9999/99/99": infer', '"9999/99": infer', "is not the shape of a date", "99/99/9999"),
        # names that meet
        ("mobile_no]", "mobile_no, Email]", "input column `Email`: this name is already taken", ""),
        ("mobile_no]", "mobile_no, source_file]", "input column `source_file`: this name is already taken", ""),
        ("mobile_no]", "mobile_no, source_file]", "input column `source_file`: this name is already taken", ""),
        ("mobile_no]", "mobile_no, failed_rules]", "input column `failed_rules`: this name is already taken", ""),
        ("mobile_no]", "mobile_no, birth_ymd]", "input column `birth_ymd`: this name is already taken", ""),
        ("  date: birth", "  Mobile: 1 = 1\n  date: birth", "rule `Mobile`: this name is already taken", ""),
        ("      last_name:", "      First_Name: email\n      last_name:", "output column `First_Name`: this name", ""),
        ("    folder: unsuccessful_application", "    folder: Successful_application", "is already taken", ""),
        ("    folder: unsuccessful_application", "    folder: runs", "folder `runs`: this name is", ""),
        ("    folder: successful_application", "    folder: current", "folder `current`: this name is", ""),
        ("    folder: successful_application", "    folder: State", "folder `State`: this name is", ""),
        # rules
        ("    after: [date, ambiguous_date]", "    after: [age]", "comes after `age`, which is not a rule above", ""),
        ("    after: [date, ambiguous_date]", "    after: [dat]", "comes after `dat`, which is not", "`date`"),
        # output and parameters
        ("unique: membership_id", "unique: member_id", "unknown column `member_id`", "`membership_id`"),
        ("minimum_age: 18", "minimum_age: {years: 18}", "parameter `minimum_age` must be", ""),
        ("minimum_age: 18", "minimum_age:", "parameter `minimum_age` must be", ""),
        ("titles: [Mr,", "titles: [] #", "parameter `titles` must be", ""),
        ("titles: [Mr,", 'titles: [Mr, "",', "parameter `titles` must be", ""),
        ("titles: [Mr,", "titles: [[Mr],", "parameter `titles` must be", ""),
        ("titles: [Mr,", "titles: [\"M'r\",", "`titles` may not contain", ""),
        ("  minimum_age: 18", "  minimum-age: 18", "`minimum-age` is not a name", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_at_its_line(edited: Edited, old: str, new: str, problem: str, hint: str) -> None:
    path = edited((old, new))
    error = refused(path, new.strip().splitlines()[0].rstrip("{"))
    assert problem in error.what
    assert hint in error.hint


def test_the_first_rule_cannot_come_after_another(edited: Edited) -> None:
    path = edited(("rules:\n", "rules:\n  first:\n    test: 'true'\n    after: [mobile]\n"))
    assert refused(path, "after: [mobile]").hint == "Move it below that rule."


def test_a_list_of_columns_names_the_item_that_is_wrong(edited: Edited) -> None:
    block = "columns:\n    - name\n    - email\n    - date_of_birth\n    - Applicant Name\n"
    path = edited(("columns: [name, email, date_of_birth, mobile_no]", block))
    assert "`Applicant Name` is not a name" in refused(path, "- Applicant Name").what


@pytest.mark.parametrize("name", ["email", "source_file", "record_number", "Failed_Rules"])
def test_a_column_of_the_unsuccessful_may_not_repeat_another(edited: Edited, name: str) -> None:
    path = edited(("    columns:\n      above_18: above_18\n  unique", f"    columns:\n      {name}: mobile\n  unique"))
    assert "already taken" in refused(path, f"      {name}: mobile").what


def test_the_successful_need_a_column(edited: Edited) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    block = text[text.index("    columns:\n      first_name") : text.index("  unsuccessful:")]
    path = edited((block, "    columns: {}\n"), ("  unique: membership_id", "  # no unique"))
    assert "needs a column" in refused(path, "columns: {}").what


def task(edited: Edited, schedule: str) -> Task:
    return settings.load(str(edited(('"0 * * * *"', f'"{schedule}"'))), [])


def test_the_next_run_follows_the_schedule(edited: Edited) -> None:
    loaded = task(edited, "30 6 * * *")
    now = datetime(2022, 12, 31, 7, tzinfo=UTC)
    assert settings.next_run(loaded, now) == datetime(2023, 1, 1, 6, 30, tzinfo=UTC)
    east = now.astimezone(timezone(timedelta(hours=8)))
    assert settings.next_run(loaded, east).isoformat() == "2023-01-01T06:30:00+08:00"


@pytest.mark.parametrize("schedule", ["hourly", "0 * * *", "61 * * * *", "0 0 30 2 *", "", "0 * * * * * * *"])
def test_a_bad_schedule_is_refused_at_its_line(edited: Edited, schedule: str) -> None:
    loaded = task(edited, schedule)
    with pytest.raises(ConfigError, match="not a schedule") as caught:
        settings.next_run(loaded, datetime.now(UTC))
    lines = loaded.document.path.read_text().splitlines()
    number = next(n for n, text in enumerate(lines, 1) if text.startswith("schedule:"))
    assert caught.value.where == f"{loaded.document.path}:{number}"
    assert "0 * * * *" in caught.value.hint
