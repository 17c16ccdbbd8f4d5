#!/bin/sh
# Section 1, membership applications: what a person types. `sh section1_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh section1_runner.sh run [arguments]

  run    validate the new membership applications with the embedded engine and print the result;
         needs Python 3.11 or newer and nothing else (the first time makes .venv from Pipfile.lock).
         The arguments go to the job as they are: sh section1_runner.sh run --help
END
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run)
    sh batch/environment.sh default
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section1_manage.py "$@"
    ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section1_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
