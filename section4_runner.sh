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

In containers: Postgres, a loader that runs once now and then every day, and Grafana; these need Docker with compose:

  start             build the image, start the containers and return when the dashboard has figures
  status            the containers and their health, how old the figures are, where the password is; exit code 1 when
                    not healthy
  logs [-f]         the end of the containers' logs; -f follows them
  stop              stop the containers; the figures stay
END
}

fail() { # MESSAGE [EXIT CODE]
    printf '%s\n' "section4_runner: $1" >&2
    exit "${2:-5}"
}

name=${SECTION4_NAME:-section4}
port=${SECTION4_PORT:-3001}
secrets=secrets/section4
embedded="Without Docker: sh section4_runner.sh run"

need_engine() {
    command -v docker >/dev/null 2>&1 ||
        fail "Docker is not installed; see https://docs.docker.com/engine/install. $embedded"
    docker compose version >/dev/null 2>&1 ||
        fail "Docker has no compose plugin; install it, for example: apt-get install docker-compose-plugin. $embedded"
    docker info >/dev/null 2>&1 ||
        fail "Docker does not answer; start it (systemctl start docker), or join its group (usermod -aG docker $(id -un)). $embedded"
}

compose() {
    docker compose --file docker/section4_compose.yaml \
        ${SECTION4_SALES_NETWORK:+--file docker/section4_sales.yaml} "$@"
}

check_port() {
    case $port in
    *[!0-9]* | ??????*) ;;
    *) [ "$port" -lt 1 ] || [ "$port" -gt 65535 ] || return 0 ;;
    esac
    fail "SECTION4_PORT=$port is no port; take one from 1 to 65535, for example 3001" 2
}

# The folder keeps other people of this machine out; the files are readable for the containers' own users.
make_secrets() {
    [ -d "$secrets" ] || mkdir -p "$secrets"
    chmod 0700 secrets "$secrets"
    for secret in postgres loader grafana_reader grafana_admin; do
        [ ! -s "$secrets/$secret" ] || continue
        (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/.$secret" && chmod 0444 "$secrets/.$secret")
        mv "$secrets/.$secret" "$secrets/$secret"
    done
}

check_sales() {
    [ -n "${SECTION4_SALES_NETWORK-}" ] || return 0
    [ -s secrets/section2/grafana ] ||
        fail "SECTION4_SALES_NETWORK is set and secrets/section2/grafana is not there; first: sh section2_runner.sh start" 3
    docker network inspect "$SECTION4_SALES_NETWORK" >/dev/null 2>&1 ||
        fail "there is no network $SECTION4_SALES_NETWORK; first: sh section2_runner.sh start" 3
}

# What Docker's long answers mean, in one line.
explain() { # FILE
    if grep -qiE 'port is already allocated|address already in use|ports are not available' "$1"; then
        fail "port $port is taken; start with another one, for example SECTION4_PORT=$((port + 1))"
    elif grep -q 'is already in use by container' "$1"; then
        fail "there are containers ${name}_... already, of another checkout: remove them, or start with SECTION4_NAME=another_name COMPOSE_PROJECT_NAME=another_name"
    elif grep -qi 'no space left on device' "$1"; then
        fail "the disk is full; docker system df says what Docker holds"
    elif grep -qE 'is unhealthy|exited \([0-9]+\)' "$1"; then
        compose logs --no-log-prefix --tail 5 >&2
        fail "the containers are running and not healthy; the end of their logs stands above"
    fi
    cat "$1" >&2
    fail "Docker could not start the containers, for the reason above"
}

start() {
    [ $# -eq 0 ] || fail "start takes no arguments, not $1" 2
    need_engine
    check_port
    check_sales
    make_secrets
    answer=$(mktemp)
    trap 'rm -f "$answer"' EXIT
    if [ -t 2 ]; then
        echo "section4_runner: building the image (minutes the first time, then seconds)" >&2
        compose build >&2 || fail "the image could not be built, for the reason above"
    else
        compose build --quiet >"$answer" 2>&1 || explain "$answer"
    fi
    compose up --detach --no-build --wait >"$answer" 2>&1 || explain "$answer"
    docker exec "${name}_loader" python3 section4_manage.py verify >"$answer" 2>&1 || {
        cat "$answer" >&2
        fail "Grafana is running and does not show what it should, for the reason above"
    }
    cat "$answer"
    cat <<END
http://localhost:$port shows the figures; nobody has to log in to see them
  admin      user admin, password in $secrets/grafana_admin
  status     sh section4_runner.sh status
END
}

status() {
    need_engine
    well=0
    for container in "${name}_postgres" "${name}_loader" "${name}_grafana"; do
        state=$(docker inspect --format '{{.State.Status}}, {{.State.Health.Status}}, since {{.State.StartedAt}}' "$container" 2>/dev/null) ||
            state="none; start it: sh section4_runner.sh start"
        printf '%-20s %s\n' "$container" "$state"
        case $state in running,\ healthy,*) ;; *) well=1 ;; esac
    done
    cat <<END
dashboard           http://localhost:$port
admin               user admin, password in $PWD/$secrets/grafana_admin
END
    [ "$well" = 1 ] || docker exec "${name}_loader" python3 section4_manage.py status
    exit "$well"
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run)
    sh batch/environment.sh postgres embedded covid
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section4_manage.py "$@"
    ;;
start) start "$@" ;;
status) status ;;
stop)
    need_engine
    docker inspect "${name}_postgres" >/dev/null 2>&1 || { echo "${name}_postgres is not there; nothing to stop" && exit 0; }
    docker compose --file docker/section4_compose.yaml --progress quiet down
    echo "stopped; the figures stay in Docker's volumes, the passwords in $secrets"
    ;;
logs)
    need_engine
    if [ "${1-}" = -f ]; then
        compose logs --tail 100 --follow
    else
        compose logs --tail 100
    fi
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
