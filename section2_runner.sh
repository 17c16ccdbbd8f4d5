#!/bin/sh
# Section 2, the sales database: what a person types. `sh section2_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac
section=2
verbs="run start status psql stop logs"
. batch/runner.sh

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

name=${SECTION2_NAME:-section2}
port=${SECTION2_PORT:-58541}
roles="postgres owner loader logistics analytics sales grafana"
secrets=secrets/section2
already_there="there are containers ${name}_... already, of another checkout: remove them, or start with SECTION2_NAME=another_name COMPOSE_PROJECT_NAME=another_name"

compose() { docker compose --file docker/section2_compose.yaml "$@"; }

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

run() {
    [ "${1-}" != erd ] || sh batch/environment.sh schema
    manage "default postgres embedded sales" "$@"
}

start() {
    no_arguments start "$@"
    need_engine
    check_port SECTION2_PORT "$port" 58541
    # shellcheck disable=SC2086  # the names of roles have no spaces
    make_secrets "$secrets" $roles
    find_owner
    build_image
    start_containers
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
    show_containers "${name}_postgresql" "${name}_loader" "${name}_backup"
    cat <<END
database               sales on 127.0.0.1:$port
passwords              $PWD/$secrets/ROLE, for ROLE one of $roles
dumps                  $(docker exec "${name}_backup" sh -c 'ls -1 /backup | wc -l' 2>/dev/null || echo no) in the volume backup, as /backup in ${name}_backup
END
    [ "$code" = 1 ] || docker exec "${name}_postgresql" psql --no-psqlrc --username postgres --quiet --tuples-only --no-align --command "
        select 'members                ' || (select count(*) from sales.member)
            || ', from ' || count(*) || ' runs, the last loaded ' || to_char(max(loaded_at), 'YYYY-MM-DD HH24:MI TZ')
        from reporting.member_load"
    exit "$code"
}

psql() {
    need_engine
    role=${1:-analytics}
    case " $roles " in *" $role "*) ;; *) fail "there is no role $role; take one of: $roles" 2 ;; esac
    [ $# -eq 0 ] || shift
    docker inspect "${name}_postgresql" >/dev/null 2>&1 || fail "the database is not running: sh section2_runner.sh start"
    terminal=
    [ ! -t 0 ] || [ ! -t 1 ] || terminal=--tty
    exec docker exec --interactive $terminal "${name}_postgresql" psql --username "$role" "$@"
}

stop() {
    need_engine
    docker inspect "${name}_postgresql" >/dev/null 2>&1 || { echo "${name}_postgresql is not there; nothing to stop" && exit 0; }
    compose --progress quiet down
    echo "stopped; the data stay in Docker's volumes, the passwords in $secrets"
}

dispatch "$@"
