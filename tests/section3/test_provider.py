"""Where Terraform takes its provider from, and what it says where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from section3 import infrastructure
from section3.infrastructure import MIRROR


def make_mirror(folder: Path) -> Path:
    (folder / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infrastructure, "MIRRORS", ())
    for name in (MIRROR, "TF_CLI_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_mirror_the_registry_is_asked(tmp_path: Path) -> None:
    assert infrastructure.mirror() is None
    assert "TF_CLI_CONFIG_FILE" not in infrastructure.environment(tmp_path)


def test_a_mirror_is_named_in_a_configuration_beside_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = make_mirror(tmp_path / 'a "mirror"')
    monkeypatch.setenv(MIRROR, str(mirror))
    file = Path(infrastructure.environment(tmp_path)["TF_CLI_CONFIG_FILE"])
    assert file.parent == tmp_path
    assert f'path = "{tmp_path}/a \\"mirror\\""' in file.read_text()


def test_a_folder_without_the_provider_is_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, str(tmp_path))
    assert infrastructure.mirror() is None


def test_the_users_own_configuration_is_kept_and_a_missing_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, str(make_mirror(tmp_path / "mirror")))
    own = tmp_path / "own.tfrc"
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))
    assert infrastructure.environment(tmp_path)["TF_CLI_CONFIG_FILE"] != str(own)
    own.touch()
    assert infrastructure.environment(tmp_path)["TF_CLI_CONFIG_FILE"] == str(own)


def test_values_of_the_users_shell_do_not_reach_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_VAR_name", "other")
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-destroy")
    assert not {"TF_VAR_name", "TF_CLI_ARGS_plan"} & infrastructure.environment(tmp_path).keys()


def test_without_terraform_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(infrastructure.NotInstalledError, match="not on the PATH"):
        infrastructure.validate(tmp_path / "work")


def test_no_provider_is_told_with_the_way_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = make_mirror(tmp_path / "mirror")
    monkeypatch.setenv(MIRROR, str(empty))
    try:
        infrastructure.binary()
    except infrastructure.NotInstalledError as error:
        pytest.skip(str(error))
    with pytest.raises(infrastructure.NotInstalledError) as error_info:
        infrastructure.prepare(tmp_path / "work")
    assert f"{MIRROR}=FOLDER" in str(error_info.value)
