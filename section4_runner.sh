#!/bin/sh
# Section 4, COVID-19 figures: what a person types. `sh section4_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh section4_runner.sh VERB

  run [arguments]   load COVID-19 figures into an embedded Postgres and draw them: a summary here, a page and a picture
                    in section4/output; needs Python 3.11 or newer and nothing else.
                    The arguments go to section4_manage.py as they are: sh section4_runner.sh run --help
END
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run)
    sh batch/environment.sh default postgres embedded covid
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section4_manage.py "$@"
    ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section4_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
