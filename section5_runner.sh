#!/bin/sh
# Section 5, car prices: what a person types. `sh section5_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh section5_runner.sh VERB

  run [arguments]   train the price model, compare it with others, answer the question in the YAML; needs Python 3.11 or
                    newer and nothing else (the first time makes .venv from Pipfile.lock).
                    The arguments go to the job as they are: sh section5_runner.sh run --help
END
}

fail() { # MESSAGE [EXIT CODE]
    printf '%s\n' "section5_runner: $1" >&2
    exit "${2:-5}"
}

run() {
    categories=classifier
    for argument in "$@"; do
        case $argument in
        report) categories="$categories notebook" ;;
        serve) categories="$categories predict" ;;
        esac
    done
    # shellcheck disable=SC2086  # the names of categories have no spaces
    sh batch/environment.sh $categories
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section5_manage.py "$@"
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run) run "$@" ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section5_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
