# What the sections' runners share. A runner goes to the project's root and begins with
#
#   section=1                        # its number
#   verbs="run start status stop"    # each is a function; a person types one of them
#   . batch/runner.sh
#
# then defines `usage`, which prints the verbs, and the verbs, and ends with
#
#   dispatch "$@"
#
# For containers it also defines `compose`, docker compose with the section's files, and `already_there`, what to say
# where another checkout has containers of these names. `logs` and `explain_unhealthy` below hold unless it defines its
# own. Nothing here runs by itself.
#
# Exit codes: 0 done, 1 of status: not well, 2 usage, 3 something is not there yet, 5 Docker or the environment, 6 a file
# cannot be written; of run: the job's own.

fail() { # MESSAGE [EXIT CODE]
    printf '%s\n' "section${section}_runner: $1" >&2
    exit "${2:-5}"
}

dispatch() { # VERB [ARGUMENTS...]
    verb=${1-}
    [ $# -eq 0 ] || shift
    for known in $verbs; do
        if [ "$verb" = "$known" ]; then
            "$verb" "$@"
            exit
        fi
    done
    case $verb in
    -h | --help | help)
        usage
        exit
        ;;
    '') ;;
    *) printf '%s\n' "section${section}_runner: unknown verb: $verb" >&2 ;;
    esac
    usage >&2
    exit 2
}

no_arguments() { # VERB [WHAT WAS GIVEN...]
    [ $# -eq 1 ] || fail "$1 takes no arguments, not $2" 2
}

manage() { # "CATEGORY..." [ARGUMENTS...]: the section's command line, with these categories of Pipfile.lock
    # shellcheck disable=SC2086  # the names of categories have no spaces
    sh batch/environment.sh $1
    shift
    unset PYTHONHOME PYTHONPATH
    exec .venv/bin/python "section${section}_manage.py" "$@"
}

need_engine() { # sets $total, the bytes of memory that Docker has
    embedded="Without Docker: sh section${section}_runner.sh run"
    command -v docker >/dev/null 2>&1 ||
        fail "Docker is not installed; see https://docs.docker.com/engine/install. $embedded"
    docker compose version >/dev/null 2>&1 ||
        fail "Docker has no compose plugin; install it, for example: apt-get install docker-compose-plugin. $embedded"
    total=$(docker info --format '{{.MemTotal}}' 2>/dev/null) && [ "${total:-0}" -gt 0 ] ||
        fail "Docker does not answer; start it (systemctl start docker), or join its group (usermod -aG docker $(id -un)). $embedded"
}

ports=
check_port() { # VARIABLE VALUE EXAMPLE; an empty value is none. Adds to $ports, from which a taken one is told
    case $2 in
    '') return 0 ;;
    *[!0-9]* | ??????*) ;;
    *) [ "$2" -lt 1 ] || [ "$2" -gt 65535 ] || { ports="$ports $1=$2" && return 0; } ;;
    esac
    fail "$1=$2 is no port; take one from 1 to 65535, for example $3" 2
}

# The folder keeps other people of this machine out; the files are readable for the containers' own users.
make_secrets() { # FOLDER NAME...
    folder=$1
    shift
    [ -d "$folder" ] || mkdir -p "$folder"
    chmod 0700 secrets "$folder"
    for secret in "$@"; do
        [ ! -s "$folder/$secret" ] || continue
        (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/.$secret" && chmod 0444 "$folder/.$secret")
        mv "$folder/.$secret" "$folder/$secret"
    done
}

build_image() { # and make $answer, the file for what Docker says
    answer=$(mktemp)
    trap 'rm -f "$answer"' EXIT
    if [ -t 2 ]; then
        echo "section${section}_runner: building the image (minutes the first time, then seconds)" >&2
        compose build >&2 || fail "the image could not be built, for the reason above"
    else
        quietly compose build --quiet
    fi
}

start_containers() { # and return when they are healthy
    quietly compose up --detach --no-build --wait
}

quietly() { # COMMAND...; where it fails, what it said is explained
    "$@" >"$answer" 2>&1 || explain
}

# What Docker's long answers mean, in one line.
explain() {
    if [ -n "$ports" ] && grep -qiE 'port is already allocated|address already in use|ports are not available' "$answer"; then
        taken=
        for pair in $ports; do # the first one, unless another one is named
            [ -n "$taken" ] && ! grep -q ":${pair#*=}[^0-9]" "$answer" || taken=$pair
        done
        fail "port ${taken#*=} is taken; start with another one, for example ${taken%=*}=$((${taken#*=} + 1))"
    elif grep -q 'is already in use by container' "$answer"; then
        fail "$already_there"
    elif grep -qi 'no space left on device' "$answer"; then
        fail "the disk is full; docker system df says what Docker holds, docker system prune frees what is not in use"
    elif grep -qE 'is unhealthy|exited \([0-9]+\)' "$answer"; then
        explain_unhealthy
    fi
    cat "$answer" >&2
    fail "Docker could not start the containers, for the reason above"
}

explain_unhealthy() {
    compose logs --tail 5 >&2 || :
    fail "the containers are running and not healthy; the end of their logs stands above"
}

look_at() { # CONTAINER; sets $state
    state=$(docker inspect --format \
        '{{.State.Status}}, {{if .State.Health}}{{.State.Health.Status}}{{else}}no health check{{end}}, started {{.State.StartedAt}}' \
        "$1" 2>/dev/null) || state="none; start it: sh section${section}_runner.sh start"
}

show_containers() { # NAME...; sets $code to 1 where one is not healthy
    code=0
    for container in "$@"; do
        look_at "$container"
        printf '%-22s %s\n' "$container" "$state"
        case $state in
        running,\ healthy,*) ;;
        *) code=1 ;;
        esac
    done
}

logs() { # [-f]
    need_engine
    case ${1-} in
    '' | -f) compose logs --tail 100 "$@" ;;
    *) fail "logs takes -f and nothing else, not $1" 2 ;;
    esac
}
