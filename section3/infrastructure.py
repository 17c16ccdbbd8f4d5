"""Terraform: validate the design, plan it without an account, and where its provider comes from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from glob import glob
from pathlib import Path
from typing import Any

from batch.errors import EngineError

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "section3" / "terraform"
WORK = ROOT / "section3" / "resource" / "dest" / "terraform"
MIRROR = "SECTION3_PROVIDER_MIRROR"
# The folders that Terraform itself looks in, and those where a machine without a network may keep its providers.
MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*")
SECONDS = 300.0
ACCOUNT = "123456789012"
# A public key that belongs to nobody: its private half was thrown away.
PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApI6Y1cq6yHPcGyrbn5Wo
T9EIh/MCrO3jrUN+HoGUGFFzbHWIbgkD5r3gUm5MTj9qNMg8T72C+pR69lg3md0T
iypj+fBdnZZUtAJqRa+KfG+LPh9vHUhxhsdH3OHiM7SfLPNMTRI0gFmLs5pejlsY
fNAMMTB+13CgZjdK7Fxz8XuH7P/IxOZC35hezaNIANEVU/WNnMcW37eezHqTNtw0
hmI2lqxQ8oyyRP0pUE0W6TXFblXqKP7f8GVwOnJIHadKcnWrOi2sZh9zB/39lRwM
EHg/Ag2JbV7PUmrW8UPSHXXv9OJwJBPfoTolxxunn8AZ7IeU0MPs4wrnhhe1fGne
hwIDAQAB
-----END PUBLIC KEY-----
"""
EXAMPLE: dict[str, Any] = {
    "account_id": ACCOUNT,
    "deployer_arn": f"arn:aws:iam::{ACCOUNT}:role/deployer",
    "identity_issuer": "https://login.example.com/",
    "alarm_email": "on-call@example.com",
    "signing_public_key": PUBLIC_KEY,
}
"""Values for the variables without a default, for a plan or an apply that reaches no AWS account."""

PROVIDER = """\
provider "aws" {{
{alias}  access_key                  = "example"
  secret_key                  = "example"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = {offline}
}}
"""


class NotInstalledError(EngineError):
    """Terraform or its provider cannot be had here; nothing is said about the design."""


def binary() -> str:
    """Where Terraform is. Raises NotInstalledError."""
    if path := shutil.which("terraform"):
        return path
    hint = "Install Terraform 1.6 or newer: https://developer.hashicorp.com/terraform/install"
    raise NotInstalledError("terraform is not on the PATH", hint=hint)


def mirror() -> Path | None:
    """A folder that holds the AWS provider as Terraform's filesystem mirror lays it out, where there is one."""
    for pattern in filter(None, (os.environ.get(MIRROR), *MIRRORS)):
        for folder in sorted(glob(os.path.expanduser(pattern))):
            if (Path(folder) / "registry.terraform.io" / "hashicorp" / "aws").is_dir():
                return Path(folder)
    return None


def environment(work: Path) -> dict[str, str]:
    """The environment for Terraform: a mirror's configuration is written beside the copy, unless the user has one."""
    env = os.environ | {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    for name in [name for name in env if name.startswith("TF_VAR_") or name.startswith("TF_CLI_ARGS")]:
        del env[name]
    if Path(env.get("TF_CLI_CONFIG_FILE", "")).is_file():
        return env
    env.pop("TF_CLI_CONFIG_FILE", None)
    if work != SOURCE and (folder := mirror()):
        file = work / "providers.tfrc"
        file.write_text(f"provider_installation {{\n  filesystem_mirror {{ path = {json.dumps(str(folder))} }}\n}}\n")
        env["TF_CLI_CONFIG_FILE"] = str(file)
    return env


def run(work: Path, *arguments: str, env: dict[str, str] | None = None, codes: tuple[int, ...] = (0,)) -> str:
    """Run `terraform ARGUMENTS` in a copy of the design and return what it printed.

    Raises EngineError with Terraform's own words when it ends with another code, or after five minutes.
    """
    command = [binary(), f"-chdir={work}", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment(work) | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"terraform {arguments[0]} took more than {SECONDS:.0f} s", where=str(SOURCE)) from error
    if done.returncode not in codes:
        raise EngineError(f"terraform {arguments[0]} failed:\n{_without_colour(done.stdout)}", where=str(SOURCE))
    return done.stdout


def _without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).strip()


def copy(work: Path) -> None:
    """Copy the design, so that what Terraform writes stays out of the sources; an installed provider is kept."""
    for old in (path for pattern in ("*.tf", "*.tfvars.json", "modules") for path in work.glob(pattern)):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(SOURCE, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))


def prepare(work: Path = WORK) -> Path:
    """A copy of the design with its provider installed. Raises NotInstalledError."""
    copy(work)
    try:
        run(work, "init", "-no-color")
    except EngineError as error:
        hint = f"It needs a network once, or a folder with the provider: {MIRROR}=FOLDER"
        raise NotInstalledError(error.what, where=error.where, hint=hint) from error
    return work


def validate(work: Path = WORK) -> None:
    """Check format, references and types of the design. Raises EngineError that says what is wrong where."""
    copy(work)
    if files := run(work, "fmt", "-check", "-recursive", "-no-color", codes=(0, 3)).split():
        hint = f"terraform fmt -recursive {os.path.relpath(SOURCE)}"
        raise EngineError(f"fmt failed: {', '.join(files)}: not in Terraform's format", where=str(SOURCE), hint=hint)
    prepare(work)
    run(work, "validate", "-no-color")


def use_example(work: Path, *, offline: bool, **variables: object) -> None:
    """Let a copy plan or apply with example values and credentials; `offline` when nobody answers for an account."""
    blocks = [PROVIDER.format(alias=alias, offline=str(offline).lower()) for alias in ("", '  alias = "edge"\n')]
    (work / "example_override.tf").write_text("\n".join(blocks))
    (work / "example.auto.tfvars.json").write_text(json.dumps(EXAMPLE | variables))


def plan(work: Path) -> dict[str, Any]:
    """The plan of a new stack as Terraform's JSON, made without an account and without a network."""
    use_example(work, offline=True)
    run(work, "plan", "-refresh=false", "-no-color", "-out=new.plan")
    shown: dict[str, Any] = json.loads(run(work, "show", "-json", "new.plan"))
    return shown
