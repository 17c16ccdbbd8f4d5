#!/bin/sh
# Section 3, the cloud design of an image platform: what a person types. `sh section3_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh section3_runner.sh VERB

  run [arguments]   validate the Terraform where the binary is, simulate capacity and cost, build the pages and say where
                    everything is; needs Python 3.11 or newer (the first time makes .venv from Pipfile.lock).
                    The arguments go to the command line as they are: sh section3_runner.sh run --help
  start             serve the pages with their pictures on 127.0.0.1, port 8703 or SECTION3_PORT
  status            whether they are served; exit code 1 when not
  stop              stop serving them
END
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run) ;;
start | status | stop)
    if [ $# -gt 0 ]; then
        printf '%s\n' "section3_runner: $verb takes nothing else, not $1" >&2
        exit 2
    fi
    set -- "$verb"
    ;;
-h | --help | help)
    usage
    exit 0
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section3_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac

standin=
[ "${1-}" != apply-locally ] || standin=standin
# shellcheck disable=SC2086  # empty, or the name of a category
sh batch/environment.sh default cloud $standin
unset PYTHONHOME PYTHONPATH
exec .venv/bin/python section3_manage.py "$@"
