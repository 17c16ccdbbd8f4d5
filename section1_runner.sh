#!/bin/sh
# Section 1, membership applications: what a person types. `sh section1_runner.sh` shows the verbs.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac
section=1
verbs="run start status stop logs"
. batch/runner.sh

usage() {
    cat <<'END'
usage: sh section1_runner.sh VERB

  run [arguments]   validate the new membership applications with the embedded engine and print the result;
                    needs Python 3.11 or newer and nothing else (the first time makes .venv from Pipfile.lock).
                    The arguments go to the job as they are: sh section1_runner.sh run --help

In a container, every hour by cron; these need Docker with compose:

  start [--cluster] build the image, start the container and return when it is healthy; with --cluster the job runs on
                    Spark's master and two workers, in containers of their own
  status            the container, its health and since when, and what the job last did; exit code 1 when not healthy
  logs [-f]         the end of section1/log/data_pipeline.log; -f follows it
  stop              stop the container; a run that goes on may finish first
END
}

container=${SECTION1_CONTAINER:-section1_python}
dest=section1/resource/dest
log=section1/log/data_pipeline.log
already_there="there is a container $container already, of another checkout: remove it (docker rm -f $container) or start with SECTION1_CONTAINER=another_name"

compose() {
    docker compose --file docker/section1_compose.yaml ${SECTION1_UI_PORT:+--file docker/section1_ui.yaml} \
        ${SECTION1_MASTER_PORT:+--file docker/section1_cluster_ui.yaml} "$@"
}

cluster() { # the containers of the cluster, by their service
    compose --profile cluster ps --all --format '{{.Service}} {{.State}}, {{.Health}}' master worker 2>/dev/null
}

check_memory() { # SECTION1_MEMORY is a number of bytes that Docker has
    wanted=${SECTION1_MEMORY:-2g}
    bytes=$(printf '%s\n' "$wanted" | awk '/^[0-9]+[bkmgBKMG]?$/ {
        unit = tolower(substr($0, length($0)))
        printf "%.0f", $0 * (unit == "k" ? 1024 : unit == "m" ? 1048576 : unit == "g" ? 1073741824 : 1)
    }')
    [ -n "$bytes" ] || fail "SECTION1_MEMORY=$wanted is no amount of memory; write it as 2g or 1500m" 2
    [ "$bytes" -ge 268435456 ] ||
        fail "SECTION1_MEMORY=$wanted is too little; the job needs 256m, with Spark 2g" 2
    [ "$bytes" -le "$total" ] ||
        fail "no memory: the container may take $wanted and Docker has $((total / 1048576))m; give it more, or start with SECTION1_MEMORY=512m, which is enough without Spark"
}

# The job runs with the number of the folders' owner, who thereby stays the owner of everything in them. Root's are an
# exception, as the job never runs as root: a number that nobody has, in root's group, which may write there.
prepare_folders() {
    # shellcheck disable=SC2012  # ls -n is portable, stat is not
    owner=$(ls -ldn section1/resource | awk '{print $3 ":" $4}')
    for folder in "$dest" section1/log; do
        [ ! -d "$folder" ] || continue
        mkdir "$folder" || fail "cannot make $folder; whose is $PWD/section1?"
        [ "$(id -u)" != 0 ] || chown "$owner" "$folder"
    done
    SECTION1_UID=${owner%:*} SECTION1_GID=${owner#*:}
    if [ "$SECTION1_UID" = 0 ]; then
        SECTION1_UID=10001 SECTION1_GID=0
        if [ "$(id -u)" = 0 ]; then
            chgrp -R 0 "$dest" section1/log
            find "$dest" section1/log -type d -exec chmod g+rwx {} +
            find "$dest/state" section1/log -type f -exec chmod g+rw {} + 2>/dev/null || :
        fi
    fi
    export SECTION1_UID SECTION1_GID
    [ ! -f secrets/membership_id.key ] || export SECTION1_KEY="$PWD/secrets/membership_id.key"
    [ ! -f secrets/section1_webhook ] || export SECTION1_WEBHOOK="$PWD/secrets/section1_webhook"
}

explain_unhealthy() {
    [ "$(docker inspect --format '{{.State.OOMKilled}}' "$container" 2>/dev/null)" != true ] ||
        fail "no memory: the container needs more than ${SECTION1_MEMORY:-2g}; start with a larger SECTION1_MEMORY"
    why=$(docker inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$container" 2>/dev/null | sed '/^$/d' | tail -n 1)
    tail -n 3 "$log" >&2 2>/dev/null || :
    fail "the container is running and not healthy: ${why:-see docker logs $container}. The end of $log stands above; cron tries again"
}

run() { manage default "$@"; }

start() {
    case ${1-} in
    '') ;;
    --cluster) export SECTION1_MASTER=spark://master:7077 COMPOSE_PROFILES=cluster ;;
    *) fail "start takes --cluster and nothing else, not $1" 2 ;;
    esac
    need_engine
    check_memory
    check_port SECTION1_UI_PORT "${SECTION1_UI_PORT-}" 4040
    check_port SECTION1_MASTER_PORT "${SECTION1_MASTER_PORT-}" 8080
    prepare_folders
    build_image
    [ "${1-}" = --cluster ] || [ -z "$(cluster)" ] ||
        quietly compose --profile cluster rm --stop --force master worker
    start_containers
    cat <<END
$container is healthy, the next run is at $(docker exec "$container" python3 section1_manage.py status |
        sed -n 's/^next run *\([^ ]*\).*/\1/p')
  published  $dest/successful_application, $dest/unsuccessful_application
  log        $log (sh section1_runner.sh logs -f)
  status     sh section1_runner.sh status
  schedule   docker container exec -it $container crontab -l
END
}

status() {
    need_engine
    look_at "$container"
    printf 'container      %s\n' "$state"
    cluster | while read -r service how; do printf '%-14s %s\n' "$service" "$how"; done
    case $state in
    running,*) docker exec "$container" python3 section1_manage.py status ;;
    *) [ ! -x .venv/bin/python ] || .venv/bin/python section1_manage.py status ;;
    esac
    case $state in
    running,\ healthy,*) ;;
    *) exit 1 ;;
    esac
}

stop() {
    need_engine
    docker inspect "$container" >/dev/null 2>&1 || { echo "$container is not there; nothing to stop" && exit 0; }
    echo "stopping $container; a run that goes on may finish first"
    compose --profile cluster --progress quiet down
    echo "stopped; what is published stays in $dest"
}

logs() {
    [ -e "$log" ] || fail "there is no $log yet; it begins with: sh section1_runner.sh start" 3
    if [ "${1-}" = -f ]; then
        exec tail -n 100 -F "$log"
    fi
    tail -n 100 "$log"
}

dispatch "$@"
