"""The YAML reader: every mistake at its file and line, parameters laid over and filled in without surprises."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch import config
from batch.errors import ConfigError


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    test: str
    after: list[str] = []


class Folder(msgspec.Struct, forbid_unknown_fields=True):
    folder: str
    columns: dict[config.Name, str] = {}


class Kind(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    order: Literal["up", "down"] = "up"
    names: list[config.Name] = []
    rules: dict[config.Name, str | Leaf] = {}
    output: Folder | None = None
    shapes: dict[str, dict[str, Literal["infer"]]] = {}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.convert(config.read(write(tmp_path, text)), Kind)
    return caught.value


def test_a_good_file_becomes_settings(tmp_path: Path) -> None:
    text = "title: a\nnames: [b, c]\nrules:\n  r: x > 1\n  s: {test: y, after: [r]}\noutput: {folder: f}\n"
    read = config.convert(config.read(write(tmp_path, text)), Kind)
    assert read == Kind("a", names=["b", "c"], rules={"r": "x > 1", "s": Leaf("y", ["r"])}, output=Folder("f"))


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        ("title: a\ntitel: b\n", 2, "unknown key `titel`", "Did you mean `title`?"),
        ("title: a\noutput:\n  folder: f\n  colums: {}\n", 4, "unknown key `colums`", "Did you mean `columns`?"),
        ("title: a\nrules:\n  b:\n    test: y\n    aftr: []\n", 5, "unknown key `aftr`", "Did you mean `after`?"),
        ("title: a\nrules:\n  a: x\n  b:\n    tset: y\n", 5, "unknown key `tset`", "Did you mean `test`?"),
        # The same word is right elsewhere in the file: the wrong place is the one that is named.
        ("title: a\nfolder: f\noutput:\n  folder: f\n", 2, "unknown key `folder`", "Did you mean `order`?"),
        ("title: a\nzzz: b\n", 2, "unknown key `zzz`", "Known are: count, names, order, output, rules, shapes, title."),
        ("count: 2\n", 1, "key `title` is missing", ""),
        ("title: a\noutput:\n  columns: {}\n", 2, "key `folder` is missing in `output`", ""),
        ("title: a\nrules:\n  a: x\n  b:\n    after: [a]\n", 4, "key `test` is missing in `rules.b`", ""),
        ("title: a\n\ncount: many\n", 3, "Expected `int`, got `str`", ""),
        ("title: a\ncount: 0\n", 2, "Expected `int` >= 1", ""),
        ("title: a\norder: upp\n", 2, "Invalid enum value 'upp'", ""),
        ("title: [a]\n", 1, "Expected `str`, got `array`", ""),
        ("title: a\nrules:\n  a: x\n  b: 5\n  c: y\n", 4, "Expected `str | object`, got `int`", ""),
        ("title: a\nrules:\n  a: x\n  b:\n    test: y\n    after: a\n", 6, "Expected `array`, got `str`", ""),
        ("title: a\nrules:\n  b:\n    test: y\n    after:\n    - a\n    - 7\n", 7, "Expected `str`, got `int`", ""),
        ("title: a\noutput:\n  folder: f\n  columns:\n    a: x\n    b: [y]\n", 6, "Expected `str`, got `array`", ""),
        ("title: a\nshapes:\n  p:\n    s: infer\n  q:\n    t: infr\n", 6, "Invalid enum value 'infr'", ""),
        ("title: a\nrules:\n  good: x\n  not good: y\n", 4, "`not good` is not a name", ""),
        ("title: a\nrules:\n  good: x\n  1st: y\n", 4, "`1st` is not a name", ""),
        ("title: a\nrules:\n  good: x\n  7: y\n", 4, "Expected `str`, got `int`", ""),
        ("title: a\n5: x\n", 2, "Expected `str`", ""),
        ("title: a\nnames:\n  - good\n  - applicant name\n", 4, "`applicant name` is not a name", ""),
        ("title: a\nnames: [\"a\\n\"]\n", 2, "is not a name", ""),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, problem: str, hint: str
) -> None:
    error = refused(tmp_path, text)
    assert error.where == f"{tmp_path}/task.yaml:{line}"
    assert problem in error.what
    assert error.hint.startswith(hint) if hint else error.hint == ""


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        ("title: a\ntitle: b\n", 2, "key `title` is given twice", ""),
        ("title: a\nrules:\n  a: x\n  'a': y\n", 4, "key `a` is given twice", ""),
        ("title: a\nrules: {a: x, a: y}\n", 2, "key `a` is given twice", ""),
        ("title: a\n  count: 1\n", 2, "not valid YAML", ""),
        ("title: a\nrules: [a\nb: c\n", 3, "not valid YAML", ""),
        ("title: 'a\n", 2, "not valid YAML", ""),
        ("title: a\nrules: *nothing\n", 2, "not valid YAML", ""),
        ("title: a\nwhen: !!python/object:os.system ls\n", 2, "not valid YAML", ""),
        ("title: a\n---\ntitle: b\n", 2, "not valid YAML", ""),
        ("title: a\nb:\n  9999-99-99: infer\n", 3, "`9999-99-99` looks like a date", 'in quotes: "9999-99-99"'),
        ("title: a\nx: 2022-02-30\n", 2, "`2022-02-30` looks like a date", 'in quotes: "2022-02-30"'),
        ("title: a\nx: \x01\n", 2, "not valid YAML", ""),
        ("title: &a [*a]\n", 1, "not valid YAML|nested", ""),
        ("- a\n", 1, "must be a mapping", ""),
        ("", 1, "must be a mapping", ""),
        ("just text\n", 1, "must be a mapping", ""),
    ],
)  # fmt: skip
def test_what_is_not_yaml_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, problem: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        config.read(write(tmp_path, text))
    assert caught.value.where == f"{tmp_path}/task.yaml:{line}"
    assert hint in caught.value.hint


def test_an_alias_to_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        config.read(write(tmp_path, "title: a\nrules: &r\n  a: *r\n"))


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(b"title: a\nname: caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        config.read(path)
    assert caught.value.where == f"{path}:2"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(b"\xef\xbb\xbftitle: a\n")
    assert config.read(path).data == {"title": "a"}


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration") as caught:
        config.read(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_a_line_within_a_text_is_the_line_in_the_file(tmp_path: Path) -> None:
    text = "title: a\nblock: |\n  one\n\n  three\nfolded: >-\n  one\n  two\nplain: one\n  two\n"
    document = config.read(write(tmp_path, text))
    assert [document.place("block")(line) for line in (0, 2)] == [f"{tmp_path}/task.yaml:{n}" for n in (3, 5)]
    # In a folded or plain text the line breaks are gone: its first line is all that is known.
    assert document.place("folded")(1) == f"{tmp_path}/task.yaml:7"
    assert document.place("plain")(1) == f"{tmp_path}/task.yaml:9"
    assert document.where("block", "deeper", line=2) == f"{tmp_path}/task.yaml:5"
    assert document.where("nothing") == f"{tmp_path}/task.yaml:1"


PARAMETERS: dict[str, Any] = {
    "as_of": date(2022, 1, 1),
    "at": datetime(2022, 1, 1, 10),
    "age": 18,
    "share": 0.5,
    "strict": False,
    "titles": ["Mr", "Mrs"],
    "country": "SG",
}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("as_of=2023-12-31", date(2023, 12, 31)),
        ("at=2023-12-31T11:30", datetime(2023, 12, 31, 11, 30)),
        ("age=21", 21),
        ("share=0.25", 0.25),
        ("strict=TRUE", True),
        ("strict=false", False),
        ("titles=Dr", ["Dr"]),
        ("titles=Dr, Prof,Sir", ["Dr", "Prof", "Sir"]),
        ("country=a=b", "a=b"),
        ("country=", ""),
    ],
)
def test_a_pair_takes_the_type_of_the_yaml_value(pair: str, value: Any) -> None:
    name = pair.partition("=")[0]
    merged = config.override(PARAMETERS, [pair])
    assert merged == PARAMETERS | {name: value}
    assert type(merged[name]) is type(PARAMETERS[name])
    assert PARAMETERS["as_of"] == date(2022, 1, 1), "the YAML's own values stay"


def test_the_last_of_two_pairs_counts() -> None:
    assert config.override(PARAMETERS, ["age=1", "age=2"])["age"] == 2


@pytest.mark.parametrize(
    ("pair", "problem", "hint"),
    [
        ("as_of", "`as_of` is not of the form key=value", ""),
        ("as_off=2023-01-01", "unknown parameter `as_off`", "Did you mean `as_of`?"),
        ("=x", "unknown parameter ``", "Known are: "),
        ("as_of=yesterday", "`as_of` must be a date like 2022-01-31, not `yesterday`", ""),
        ("as_of=2023-02-29", "must be a date", ""),
        ("at=noon", "must be a time", ""),
        ("age=18.5", "`age` must be a whole number, not `18.5`", ""),
        ("age=", "must be a whole number", ""),
        ("share=half", "must be a number", ""),
        ("strict=1", "must be true or false", ""),
    ],
)
def test_a_wrong_pair_is_refused(pair: str, problem: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)) as caught:
        config.override(PARAMETERS, [pair])
    assert caught.value.where == "--sql-kwargs"
    assert caught.value.hint.startswith(hint)


def place(line: int) -> str:
    return f"f:{line + 1}"


def test_parameters_are_filled_in() -> None:
    text = "date '${as_of}' > ${age} and ${strict} and $country and '$$' and ${share}"
    assert config.substitute(text, PARAMETERS, place) == "date '2022-01-01' > 18 and false and SG and '$' and 0.5"


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        ("a\nb\n ${as_off}", 3, "unknown parameter `${as_off}`", "Did you mean `as_of`?"),
        ("${as_of}\n$agee", 2, "unknown parameter `${agee}`", "Did you mean `age`?"),
        ("a\nx rlike 'a$'", 2, "a lone `$`", "Write `$$`"),
        ("$$\n$$\n${}", 3, "a lone `$`", "Write `$$`"),
        ("${as_of}\n$$$", 2, "a lone `$`", "Write `$$`"),
        ("a\n${as-of}", 2, "a lone `$`|unknown parameter", ""),
    ],
)
def test_a_wrong_place_is_named_with_its_line(text: str, line: int, problem: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.substitute(text, PARAMETERS, place)
    assert any(part in caught.value.what for part in problem.split("|"))
    assert caught.value.where == f"f:{line}"
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("character", ["'", "\\", ";", "[", "]", "^", "\n", "\r", "\t", "\0", "\x7f", "\x85"])
@pytest.mark.parametrize("inside", [str, lambda text: ["good", text]])
def test_a_value_cannot_end_a_text_or_a_pattern(character: str, inside: Any) -> None:
    with pytest.raises(ConfigError, match="`who` may not contain") as caught:
        config.literal("who", inside(f"a{character}b"), "f:7")
    assert caught.value.where == "f:7"


def test_an_attempt_to_inject_sql_is_refused() -> None:
    for text in ("' or 1=1 --", "x'; drop table t; --", "\\' or true"):
        with pytest.raises(ConfigError):
            config.substitute("name = '${country}'", PARAMETERS | {"country": text}, place)


def test_a_value_is_not_filled_in_again() -> None:
    assert config.substitute("'${country}'", PARAMETERS | {"country": "${age} $$ $x"}, place) == "'${age} $$ $x'"


@pytest.mark.parametrize(
    "word", ["M.D", "a-b", "a b", "C++", "(x)", "a|b", "x{2}", "$", "é", "ÿ", "Straße", "#1", "a&&b", "*"]
)
def test_a_list_is_the_alternatives_of_a_pattern(word: str) -> None:
    pattern = config.substitute("${words}", {"words": [word, "other"]}, place)
    for text in (word, word.upper() if len(word.upper()) == len(word) else word, word.lower(), "OTHER"):
        assert re.fullmatch(pattern, text)
    for text in (word + "x", word[:-1], "othe", word + "|other"):
        assert not re.fullmatch(pattern, text)


words = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="'\\;[]^"), min_size=1, max_size=6)


def expected(text: str, known: list[str]) -> bool:
    """Letter by letter the same, or its capital or small letter."""
    return any(
        len(text) == len(word)
        and all(got in (given, given.upper(), given.lower()) for got, given in zip(text, word, strict=True))
        for word in known
    )


@st.composite
def words_and_texts(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Words, and texts that are them, near them, and others."""
    known = draw(st.lists(words, min_size=1, max_size=4))
    texts = [*known, *draw(st.lists(words, max_size=3))]
    for word in known:
        place = draw(st.integers(0, len(word) - 1))
        letter = draw(st.sampled_from([word[place].upper(), word[place].lower(), word[place].swapcase(), "x", ""]))
        texts += [word.upper(), word.lower(), word.title(), word[:place] + letter + word[place + 1 :], word * 2]
    return known, [text for text in texts if "\0" not in text]


@settings(deadline=None)
@given(words_and_texts())
def test_the_pattern_matches_exactly_its_words_in_any_case(case: tuple[list[str], list[str]]) -> None:
    import duckdb

    known, texts = case
    pattern = config.literal("words", known)
    assert [bool(re.fullmatch(pattern, text)) for text in texts] == [expected(text, known) for text in texts]
    with duckdb.connect() as connection:
        found = connection.execute(
            "select regexp_matches(t, ?) from (select unnest(?::varchar[]) as t)", [rf"^({pattern})\z", texts]
        ).fetchall()
    assert [row[0] for row in found] == [expected(text, known) for text in texts]
