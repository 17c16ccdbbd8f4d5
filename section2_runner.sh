#!/bin/sh
# Section 2, the sales database: what a person types. `sh section2_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh section2_runner.sh VERB

  run [arguments]   an embedded Postgres with the schema, the members, a small shop, and the answers to "who spent most"
                    and "what sells most"; needs Python 3.11 or newer and nothing else.
                    The arguments go to section2_manage.py as they are: sh section2_runner.sh run --help
END
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run)
    sh batch/environment.sh default postgres embedded sales
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section2_manage.py "$@"
    ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section2_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
