#!/bin/sh
# Reproduces every number in bench/README.md:  sh bench/run.sh [small|all]
#   small  equal outputs and the 5,000-row process; prints only (default)
#   all    1 M and 5 M rows too, and writes the tables into bench/README.md
# PYTHON     the interpreter for all contenders (default .venv/bin/python)
# BENCH_DATA a folder to keep the generated inputs in (default: a temporary one, removed at the end)
set -eu
cd "$(dirname "$0")/.."
size=${1:-small}
case $size in small | all) ;; *) echo "usage: sh bench/run.sh [small|all]" >&2; exit 2 ;; esac
python=${PYTHON:-.venv/bin/python}
data=${BENCH_DATA:-}
if [ -z "$data" ]; then
    data=$(mktemp -d)
    trap 'rm -rf "$data"' EXIT
    trap 'exit 130' INT TERM
fi

generate() { # rows files
    [ -d "$data/$1" ] && return
    rm -rf "$data/$1.part"
    "$python" section1_manage.py generate --rows "$1" --files "$2" --seed 1 --output "$data/$1.part"
    mv "$data/$1.part" "$data/$1"
}
missed=0
measure() { # place in the README, options
    place=$1; shift
    if [ "$size" = all ]; then set -- --publish "$place" "$@"; fi
    "$python" bench/measure.py "$@" || missed=1
    echo
}

generate 5000 2
"$python" bench/equal.py "$data/5000"
measure cold --runs 15 --within-seconds 0.25 "$data/5000"
if [ "$size" = all ]; then
    generate 1000000 5
    generate 5000000 5
    "$python" bench/equal.py "$data/1000000"
    measure large --runs 7 --within-ratio 1.0 "$data/1000000"
    measure memory --runs 3 --within-growth 1.1 "$data/1000000" "$data/5000000"
fi
exit "$missed"
