#!/bin/sh
# Make .venv in the project's root and install categories of Pipfile.lock into it, every file checked by its hash.
#
#   sh batch/environment.sh CATEGORY...      # as Pipfile.lock names them: default, develop, spark, postgres, ...
#   sh batch/environment.sh --apart CATEGORY # into .venv-CATEGORY: what cannot agree with the other categories
#
# Prints one line when there is something to install, nothing when there is not: each installed category leaves the
# lock file's checksum in .venv, so that the next start costs milliseconds and starts no Python.
#
# The lock file is pipenv's, but pip installs it: pipenv would first have to be installed itself (checked by which
# hashes?) and takes longer than the few lines below, which hand the lock's versions and hashes to the pip that comes
# with every Python. That pip works in two steps: it fetches all files, which may fail without harm, and only then
# installs them from the disk. Whatever stops the second step, even a power cut, leaves .venv/.unfinished behind, and
# the next start makes .venv anew.
#
# Exit codes: 0 everything is there, 2 usage, 5 the environment could not be prepared.
set -eu

fail() {
    printf '%s\n' "environment: $1" >&2
    exit "${2:-5}"
}

case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}/.." ;;
*) cd -P .. ;;
esac
venv=.venv
if [ "${1-}" = --apart ]; then
    shift
    [ $# -eq 1 ] || fail "--apart takes one category" 2
    venv=.venv-$1
fi
[ $# -gt 0 ] || fail "which category? Say for example: sh batch/environment.sh default" 2

# Neither another Python's settings nor pip settings that install elsewhere may reach it.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_USER PIP_CONSTRAINT PIP_REQUIREMENT

find_missing() { # sets $missing to those of the named categories that it does not hold as the lock file has them
    missing=
    [ -x "$venv/bin/python" ] && [ ! -e "$venv/.unfinished" ] || { missing=$* && return; }
    for category in "$@"; do
        installed=
        ! [ -e "$venv/.installed-$category" ] || read -r installed <"$venv/.installed-$category" || :
        [ "$installed" = "$checksum" ] || missing="$missing $category"
    done
}

checksum=$(cksum <Pipfile.lock) || fail "cannot read Pipfile.lock in $PWD; restore it: git checkout Pipfile.lock"
find_missing "$@"
[ -n "$missing" ] || exit 0

# From here on there is something to do, and it may take its time.
[ -w . ] || fail "$PWD is read-only and $venv must be made in it; copy the project to a folder of your own"
python=
for candidate in python3 python3.13 python3.12 python3.11; do
    # The real path: a Python that an upgrade replaces then leaves a broken link there, which is noticed and mended.
    python=$("$candidate" -c 'import os, sys
print(os.path.realpath(sys.executable) if sys.version_info >= (3, 11) else "")' 2>/dev/null) || python=
    [ -z "$python" ] || break
done
[ -n "$python" ] || fail "no Python 3.11 or newer on the PATH; install one, for example: apt-get install python3 python3-venv"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module; install it, for example: apt-get install python3-venv"

# One start at a time. The kernel drops the lock with the last process that holds descriptor 9, however that ends.
exec 9>"$venv.lock"
"$python" -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("environment: waiting for another start that is preparing", sys.argv[1], file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)' "$venv"

if [ -e "$venv/.unfinished" ] ||
    ! "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf "$venv"
fi
find_missing "$@"
# shellcheck disable=SC2086  # the names of categories have no spaces
set -- $missing
[ $# -gt 0 ] || exit 0

requirements=$(
    "$python" - "$@" <<'END'
import json
import sys

with open("Pipfile.lock", encoding="utf-8") as file:
    lock = json.load(file)
del lock["_meta"]
if unknown := set(sys.argv[1:]) - set(lock):
    sys.exit(f"environment: Pipfile.lock has no category {', '.join(unknown)}; it has {', '.join(sorted(lock))}")
lines = set()  # a package that two categories share stands once; at two versions it stands twice, and pip refuses
for category in sys.argv[1:]:
    for name, package in lock[category].items():
        marker = f" ; {package['markers']}" if "markers" in package else ""
        lines.add(" --hash=".join([name + package["version"] + marker, *package["hashes"]]))
print(*sorted(lines), sep="\n")
END
) || exit 2

printf '%s\n' "environment: installing $* into $venv (once; seconds to a minute)" >&2
fetched=$venv/.fetched
trap 'rm -rf "$fetched"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if ! [ -d "$venv" ]; then
    mkdir "$venv"
    : >"$venv/.unfinished"
    "$python" -m venv "$venv" >&2 || fail "$python could not make $PWD/$venv; is the disk full (df -h .)? Then run this again"
    rm "$venv/.unfinished"
fi

pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@" >&2; }
rm -rf "$fetched"
mkdir "$fetched"
printf '%s\n' "$requirements" >"$fetched/requirements.txt"
# --use-pep517: pyspark comes as source only, and the pip of Debian 12 builds it no other way.
pip wheel --use-pep517 --require-hashes --no-deps --requirement "$fetched/requirements.txt" --wheel-dir "$fetched" ||
    fail "could not fetch $*, for the reason above; is the network up, the disk full (df -h .)? Then run this again"
: >"$venv/.unfinished"
pip install --no-user --no-index --no-deps "$fetched"/*.whl ||
    fail "could not install $*, for the reason above; is the disk full (df -h .)? Then run this again"
for category in "$@"; do
    printf '%s\n' "$checksum" >"$venv/.installed-$category"
done
rm "$venv/.unfinished"
