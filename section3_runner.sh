#!/bin/sh
# Section 3, the cloud design of an image platform: what a person types. `sh section3_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac
section=3
verbs="run start status stop"
. batch/runner.sh

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

run() {
    categories="default cloud"
    [ "${1-}" != apply-locally ] || categories="$categories standin"
    manage "$categories" "$@"
}

start() {
    no_arguments start "$@"
    run start
}

status() {
    no_arguments status "$@"
    run status
}

stop() {
    no_arguments stop "$@"
    run stop
}

dispatch "$@"
