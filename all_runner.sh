#!/bin/sh
# Sections 1, 2 and 4 together: applications become members, members and sales become a dashboard.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

usage() {
    cat <<'END'
usage: sh all_runner.sh VERB

  start    start sections 1, 2 and 4 in this order; Grafana joins section 2's network and shows both dashboards
  status   the status of each section; exit code 1 when one is not well
  stop     stop them, the last one first; everything they have stored stays

Needs Docker with compose. Each section's variables hold here too: SECTION1_SCHEDULE, SECTION2_PORT, SECTION4_PORT, ...
END
}

# ALL_NAME sets a second checkout's containers apart from the first one's.
section() { # NUMBER VERB
    project=${ALL_NAME:+${ALL_NAME}_}section$1
    case $1 in
    1) container="SECTION1_CONTAINER=${project}_python" ;;
    *) container="SECTION$1_NAME=$project" ;;
    esac
    set -- "$1" "$2" "$container" "COMPOSE_PROJECT_NAME=$project"
    [ "$1" != 4 ] || set -- "$@" "SECTION4_SALES_NETWORK=${ALL_NAME:+${ALL_NAME}_}section2_default" \
        "SECTION4_SALES_HOST=${ALL_NAME:+${ALL_NAME}_}section2_postgresql"
    number=$1 verb=$2
    shift 2
    echo "== section $number"
    env "$@" sh "section${number}_runner.sh" "$verb"
}

verb=${1-}
case $verb in
start)
    for number in 1 2 4; do
        section "$number" start
    done
    ;;
status)
    code=0
    for number in 1 2 4; do
        section "$number" status || code=1
    done
    exit "$code"
    ;;
stop)
    code=0
    for number in 4 2 1; do # Grafana leaves section 2's network before that goes
        section "$number" stop || code=$?
    done
    exit "$code"
    ;;
-h | --help | help)
    usage
    ;;
*)
    [ -z "$verb" ] || printf '%s\n' "all_runner: unknown verb: $verb" >&2
    usage >&2
    exit 2
    ;;
esac
