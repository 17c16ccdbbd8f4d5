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

In containers, on 127.0.0.1 only; these need Docker with compose:

  start             build the image, start JupyterLab with the notebook and the prediction server, and return when both
                    are healthy
  status            the containers and their health; exit code 1 when one is not healthy
  logs [-f]         the end of their logs; -f follows them
  stop              stop the containers; changed notebooks stay
END
}

fail() { # MESSAGE [EXIT CODE]
    printf '%s\n' "section5_runner: $1" >&2
    exit "${2:-5}"
}

name=${SECTION5_CONTAINER:-section5}
token=secrets/section5_token
embedded="Without Docker: sh section5_runner.sh run"

need_engine() {
    command -v docker >/dev/null 2>&1 ||
        fail "Docker is not installed; see https://docs.docker.com/engine/install. $embedded"
    docker compose version >/dev/null 2>&1 ||
        fail "Docker has no compose plugin; install it, for example: apt-get install docker-compose-plugin. $embedded"
    docker info >/dev/null 2>&1 ||
        fail "Docker does not answer; start it (systemctl start docker), or join its group (usermod -aG docker $(id -un)). $embedded"
}

compose() {
    docker compose --file docker/section5_compose.yaml "$@"
}

check_ports() {
    for variable in SECTION5_LAB_PORT SECTION5_PREDICT_PORT; do
        eval "port=\${$variable-}"
        case $port in
        '') continue ;;
        *[!0-9]* | ??????*) ;;
        *) [ "$port" -lt 1 ] || [ "$port" -gt 65535 ] || continue ;;
        esac
        fail "$variable=$port is no port; take one from 1 to 65535, for example 8889" 2
    done
    [ "$lab" != "$predict" ] || fail "both ports are $lab; SECTION5_LAB_PORT and SECTION5_PREDICT_PORT must differ" 2
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

explain() { # FILE WITH WHAT DOCKER SAID
    if grep -qiE 'port is already allocated|address already in use|ports are not available' "$1"; then
        variable=SECTION5_LAB_PORT port=$lab
        ! grep -q ":$predict[^0-9]" "$1" || variable=SECTION5_PREDICT_PORT port=$predict
        fail "port $port is taken; start with another one, for example $variable=$((port + 1))"
    elif grep -q 'is already in use by container' "$1"; then
        fail "there are containers ${name}_lab and ${name}_predict already, of another checkout: stop them there, or start with SECTION5_CONTAINER=another_name and COMPOSE_PROJECT_NAME=another_name"
    elif grep -qi 'no space left on device' "$1"; then
        fail "the disk is full; docker system df says what Docker holds"
    elif grep -qE 'is unhealthy|exited \([0-9]+\)' "$1"; then
        compose logs --tail 5 >&2 || :
        fail "a container started and is not healthy; the end of its log stands above"
    fi
    cat "$1" >&2
    fail "Docker could not start the containers, for the reason above"
}

start() {
    lab=${SECTION5_LAB_PORT:-8888} predict=${SECTION5_PREDICT_PORT:-8585}
    check_ports
    need_engine
    prepare_token
    answer=$(mktemp)
    trap 'rm -f "$answer"' EXIT
    if [ -t 2 ]; then
        echo "section5_runner: building the image (minutes the first time, then seconds)" >&2
        compose build >&2 || fail "the image could not be built, for the reason above"
    else
        compose build --quiet >"$answer" 2>&1 || explain "$answer"
    fi
    compose up --detach --no-build --wait >"$answer" 2>&1 || explain "$answer"
    cat <<END
${name}_lab and ${name}_predict are healthy
  notebook    http://127.0.0.1:$lab/lab/tree/car_buy_price_prediction.ipynb?token=$(cat "$token")
  prediction  http://127.0.0.1:$predict/docs
  ask         curl http://127.0.0.1:$predict/predict --json '{"safety": "high", "class": "good"}'
END
}

status() {
    need_engine
    code=0
    for container in "${name}_lab" "${name}_predict"; do
        state=$(docker inspect --format '{{.State.Status}}, {{.State.Health.Status}}, started {{.State.StartedAt}}' \
            "$container" 2>/dev/null) || state="none; start it: sh section5_runner.sh start"
        printf '%-18s %s\n' "$container" "$state"
        case $state in
        running,\ healthy,*) ;;
        *) code=1 ;;
        esac
    done
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
    # shellcheck disable=SC2086  # the names of categories have no spaces
    sh batch/environment.sh $categories
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section5_manage.py "$@"
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run) run "$@" ;;
start) start ;;
status) status ;;
stop)
    need_engine
    docker inspect "${name}_lab" >/dev/null 2>&1 || docker inspect "${name}_predict" >/dev/null 2>&1 ||
        { echo "${name}_lab and ${name}_predict are not there; nothing to stop" && exit 0; }
    compose --progress quiet down
    echo "stopped; changed notebooks stay in their volume"
    ;;
logs)
    need_engine
    case ${1-} in
    '' | -f) compose logs --tail 100 "$@" ;;
    *) fail "logs takes -f and nothing else, not $1" 2 ;;
    esac
    ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "section5_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
