#!/bin/sh
# What a container does: section2_start.sh database | loader | backup. /run/section2 is where the health check looks.
set -eu
cd /app
ready=/run/section2/ready

database() {
    # Postgres is told to stop (SIGINT: sessions end, nothing is lost) when the container is.
    trap 'kill -INT "$server" 2>/dev/null || :' TERM INT
    docker-entrypoint.sh postgres -c timezone=UTC &
    server=$!
    # Over TCP: while the data folder is being made, Postgres answers on the socket only.
    until pg_isready --quiet --host 127.0.0.1; do
        kill -0 "$server" 2>/dev/null || exit 1
        sleep 0.2
    done
    # Asked by analytics, so that the container's log holds no names.
    if python3 section2_manage.py --config section2_container.yaml run --role analytics && set_passwords; then
        touch "$ready"
    else
        echo "section2: the database could not be prepared, for the reason above" >&2
        kill -INT "$server"
    fi
    while kill -0 "$server" 2>/dev/null; do
        code=0
        wait "$server" || code=$?
    done
    [ -e "$ready" ] || exit 1
    exit "$code"
}

# At every start: a new file in secrets/section2 is a new password.
set_passwords() {
    for role in owner loader logistics analytics sales grafana; do
        psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set role="$role" --username postgres <<'END'
set log_min_error_statement = panic;
\set file /run/secrets/ :role
\set password `cat :'file'`
alter role :"role" login password :'password';
END
    done
}

# Once now, then by cron. The job itself leaves word for the health check.
job() { # NAME SCHEDULE
    printf '%s /app/docker/section2_%s.sh\n' "$2" "$1" >/run/section2/crontab
    "docker/section2_$1.sh" || echo "section2: $1 failed, for the reason above; cron tries again" >&2
    exec supercronic /run/section2/crontab
}

case ${1-} in
database) database ;;
loader) job load "${SECTION2_LOAD_SCHEDULE:-10 * * * *}" ;;
backup) job dump "${SECTION2_DUMP_SCHEDULE:-30 2 * * *}" ;;
*) echo "usage: section2_start.sh database | loader | backup" >&2 && exit 2 ;;
esac
