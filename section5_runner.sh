#!/bin/sh
# Section 5, car prices: what a person types. `sh section5_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac
section=5
verbs="run start status stop logs"
. batch/runner.sh

usage() {
    cat <<'END'
usage: sh section5_runner.sh VERB

  run [arguments]   train the price model, compare it with others, answer the question in the YAML; needs Python 3.11 or
                    newer and nothing else (the first time makes .venv from Pipfile.lock).
                    The arguments go to the job as they are: sh section5_runner.sh run --help

In containers, on 127.0.0.1 only; these need Docker with compose:

  start             build the image, start JupyterLab with the notebook and the prediction server, and return when both
                    are healthy
  status            the containers and their health; exit code 1 when one is not healthy
  logs [-f]         the end of their logs; -f follows them
  stop              stop the containers; changed notebooks stay
END
}

name=${SECTION5_CONTAINER:-section5}
token=secrets/section5_token
already_there="there are containers ${name}_lab and ${name}_predict already, of another checkout: stop them there, or start with SECTION5_CONTAINER=another_name and COMPOSE_PROJECT_NAME=another_name"

compose() {
    docker compose --file docker/section5_compose.yaml "$@"
}

# The token is made once, for the owner only, and mounted as a file. The containers run as that owner, never as root:
# root's token is given to a number that nobody has.
prepare_token() {
    SECTION5_USER=$(id -u):$(id -g)
    [ "$(id -u)" != 0 ] || SECTION5_USER=10001:0
    [ -d secrets ] || mkdir -m 700 secrets || fail "cannot make the folder secrets in $PWD" 6
    if ! [ -s "$token" ]; then
        made=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        (umask 077 && printf '%s' "$made" >"$token") || fail "cannot write $token" 6
    fi
    [ "$(id -u)" != 0 ] || chown "$SECTION5_USER" "$token"
    export SECTION5_USER SECTION5_TOKEN="$PWD/$token"
}

start() {
    lab=${SECTION5_LAB_PORT:-8888} predict=${SECTION5_PREDICT_PORT:-8585}
    no_arguments start "$@"
    check_port SECTION5_LAB_PORT "$lab" 8889
    check_port SECTION5_PREDICT_PORT "$predict" 8586
    [ "$lab" != "$predict" ] || fail "both ports are $lab; SECTION5_LAB_PORT and SECTION5_PREDICT_PORT must differ" 2
    need_engine
    prepare_token
    build_image
    start_containers
    cat <<END
${name}_lab and ${name}_predict are healthy
  notebook    http://127.0.0.1:$lab/lab/tree/car_buy_price_prediction.ipynb?token=$(cat "$token")
  prediction  http://127.0.0.1:$predict/docs
  ask         curl http://127.0.0.1:$predict/predict --json '{"safety": "high", "class": "good"}'
END
}

status() {
    need_engine
    show_containers "${name}_lab" "${name}_predict"
    exit "$code"
}

run() {
    categories=classifier
    for argument in "$@"; do
        case $argument in
        report) categories="$categories notebook" ;;
        serve) categories="$categories predict" ;;
        esac
    done
    manage "$categories" "$@"
}

stop() {
    need_engine
    docker inspect "${name}_lab" >/dev/null 2>&1 || docker inspect "${name}_predict" >/dev/null 2>&1 ||
        { echo "${name}_lab and ${name}_predict are not there; nothing to stop" && exit 0; }
    compose --progress quiet down
    echo "stopped; changed notebooks stay in their volume"
}

dispatch "$@"
