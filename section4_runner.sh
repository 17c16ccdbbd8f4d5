#!/bin/sh
# Section 4, COVID-19 figures: what a person types. `sh section4_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac
section=4
verbs="run start status stop logs"
. batch/runner.sh

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

name=${SECTION4_NAME:-section4}
port=${SECTION4_PORT:-3001}
secrets=secrets/section4
already_there="there are containers ${name}_... already, of another checkout: remove them, or start with SECTION4_NAME=another_name COMPOSE_PROJECT_NAME=another_name"

compose() {
    docker compose --file docker/section4_compose.yaml \
        ${SECTION4_SALES_NETWORK:+--file docker/section4_sales.yaml} "$@"
}

check_sales() {
    [ -n "${SECTION4_SALES_NETWORK-}" ] || return 0
    [ -s secrets/section2/grafana ] ||
        fail "SECTION4_SALES_NETWORK is set and secrets/section2/grafana is not there; first: sh section2_runner.sh start" 3
    docker network inspect "$SECTION4_SALES_NETWORK" >/dev/null 2>&1 ||
        fail "there is no network $SECTION4_SALES_NETWORK; first: sh section2_runner.sh start" 3
}

run() { manage "postgres embedded covid" "$@"; }

start() {
    no_arguments start "$@"
    need_engine
    check_port SECTION4_PORT "$port" 3001
    check_sales
    make_secrets "$secrets" postgres loader grafana_reader grafana_admin
    build_image
    start_containers
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
    show_containers "${name}_postgres" "${name}_loader" "${name}_grafana"
    cat <<END
dashboard              http://localhost:$port
admin                  user admin, password in $PWD/$secrets/grafana_admin
END
    [ "$code" = 1 ] || docker exec "${name}_loader" python3 section4_manage.py status
    exit "$code"
}

stop() {
    need_engine
    docker inspect "${name}_postgres" >/dev/null 2>&1 || { echo "${name}_postgres is not there; nothing to stop" && exit 0; }
    docker compose --file docker/section4_compose.yaml --progress quiet down
    echo "stopped; the figures stay in Docker's volumes, the passwords in $secrets"
}

dispatch "$@"
