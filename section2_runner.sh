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
                    and "what sells most"; needs Python 3.11 or newer and nothing else (the first time makes .venv).
                    The arguments go to section2_manage.py as they are: sh section2_runner.sh run --help

In containers: Postgres 17, a loader that takes in section 1's new runs each hour, a nightly dump; these need Docker
with compose:

  start             build the image, start the containers and return when both questions have answers
  status            the containers and their health, where the passwords and the dumps are; exit code 1 when not healthy
  psql [ROLE] [...] psql as owner, loader, logistics, analytics (the default), sales, grafana or postgres
  logs [-f]         the end of the containers' logs; -f follows them
  stop              stop the containers; the data stay
END
}

fail() { # MESSAGE [EXIT CODE]
    printf '%s\n' "section2_runner: $1" >&2
    exit "${2:-5}"
}

name=${SECTION2_NAME:-section2}
port=${SECTION2_PORT:-58541}
roles="postgres owner loader logistics analytics sales grafana"
secrets=secrets/section2
embedded="Without Docker: sh section2_runner.sh run"

need_engine() {
    command -v docker >/dev/null 2>&1 ||
        fail "Docker is not installed; see https://docs.docker.com/engine/install. $embedded"
    docker compose version >/dev/null 2>&1 ||
        fail "Docker has no compose plugin; install it, for example: apt-get install docker-compose-plugin. $embedded"
    docker info >/dev/null 2>&1 ||
        fail "Docker does not answer; start it (systemctl start docker), or join its group (usermod -aG docker $(id -un)). $embedded"
}

compose() { docker compose --file docker/section2_compose.yaml "$@"; }

check_port() {
    case $port in
    *[!0-9]* | ??????*) ;;
    *) [ "$port" -lt 1 ] || [ "$port" -gt 65535 ] || return 0 ;;
    esac
    fail "SECTION2_PORT=$port is no port; take one from 1 to 65535, for example 58541" 2
}

# The folder keeps other people of this machine out; the files are readable for the containers' own users.
make_secrets() {
    [ -d "$secrets" ] || mkdir -p "$secrets"
    chmod 0700 secrets "$secrets"
    for role in $roles; do
        [ ! -s "$secrets/$role" ] || continue
        (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/.$role" && chmod 0444 "$secrets/.$role")
        mv "$secrets/.$role" "$secrets/$role"
    done
}

# The loader reads what section 1 publishes as section 1 writes it: with the number of the folders' owner, and where
# that is root with a number that nobody has, in root's group.
find_owner() {
    # shellcheck disable=SC2012  # ls -n is portable, stat is not
    owner=$(ls -ldn section1/resource | awk '{print $3 ":" $4}')
    if [ ! -d section1/resource/dest ]; then
        mkdir section1/resource/dest || fail "cannot make section1/resource/dest; whose is $PWD/section1?"
        [ "$(id -u)" != 0 ] || chown "$owner" section1/resource/dest
    fi
    SECTION2_UID=${owner%:*} SECTION2_GID=${owner#*:}
    [ "$SECTION2_UID" != 0 ] || SECTION2_UID=10001 SECTION2_GID=0
    export SECTION2_UID SECTION2_GID
}

# What Docker's long answers mean, in one line.
explain() { # FILE
    if grep -qiE 'port is already allocated|address already in use|ports are not available' "$1"; then
        fail "port $port is taken; start with another one, for example SECTION2_PORT=$((port + 1))"
    elif grep -q 'is already in use by container' "$1"; then
        fail "there are containers ${name}_... already, of another checkout: remove them, or start with SECTION2_NAME=another_name COMPOSE_PROJECT_NAME=another_name"
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
    make_secrets
    find_owner
    answer=$(mktemp)
    trap 'rm -f "$answer"' EXIT
    if [ -t 2 ]; then
        echo "section2_runner: building the image (minutes the first time, then seconds)" >&2
        compose build >&2 || fail "the image could not be built, for the reason above"
    else
        compose build --quiet >"$answer" 2>&1 || explain "$answer"
    fi
    compose up --detach --no-build --wait >"$answer" 2>&1 || explain "$answer"
    cat <<END
${name}_postgresql is healthy: the database sales on 127.0.0.1:$port
  passwords  $secrets/, one file for each role
  shell      sh section2_runner.sh psql
  questions  docker container exec ${name}_postgresql python3 section2_manage.py --config section2_container.yaml query
  status     sh section2_runner.sh status
END
}

status() {
    need_engine
    well=0
    for container in "${name}_postgresql" "${name}_loader" "${name}_backup"; do
        state=$(docker inspect --format '{{.State.Status}}, {{.State.Health.Status}}, since {{.State.StartedAt}}' "$container" 2>/dev/null) ||
            state="none; start it: sh section2_runner.sh start"
        printf '%-22s %s\n' "$container" "$state"
        case $state in running,\ healthy,*) ;; *) well=1 ;; esac
    done
    cat <<END
database               sales on 127.0.0.1:$port
passwords              $PWD/$secrets/ROLE, for ROLE one of $roles
dumps                  $(docker exec "${name}_backup" sh -c 'ls -1 /backup | wc -l' 2>/dev/null || echo no) in the volume backup, as /backup in ${name}_backup
END
    [ "$well" = 1 ] || docker exec "${name}_postgresql" psql --no-psqlrc --username postgres --quiet --tuples-only --no-align --command "
        select 'members                ' || (select count(*) from sales.member)
            || ', from ' || count(*) || ' runs, the last loaded ' || to_char(max(loaded_at), 'YYYY-MM-DD HH24:MI TZ')
        from reporting.member_load"
    exit "$well"
}

verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
run)
    sh batch/environment.sh default postgres embedded sales
    [ "${1-}" != erd ] || sh batch/environment.sh schema
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python section2_manage.py "$@"
    ;;
start) start "$@" ;;
status) status ;;
psql)
    need_engine
    role=${1:-analytics}
    case " $roles " in *" $role "*) ;; *) fail "there is no role $role; take one of: $roles" 2 ;; esac
    [ $# -eq 0 ] || shift
    docker inspect "${name}_postgresql" >/dev/null 2>&1 || fail "the database is not running: sh section2_runner.sh start"
    terminal=
    [ ! -t 0 ] || [ ! -t 1 ] || terminal=--tty
    exec docker exec --interactive $terminal "${name}_postgresql" psql --username "$role" "$@"
    ;;
stop)
    need_engine
    docker inspect "${name}_postgresql" >/dev/null 2>&1 || { echo "${name}_postgresql is not there; nothing to stop" && exit 0; }
    compose --progress quiet down
    echo "stopped; the data stay in Docker's volumes, the passwords in $secrets"
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
    [ -z "$verb" ] || printf '%s\n' "section2_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
