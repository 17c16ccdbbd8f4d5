#!/bin/sh
# Reproduces every number in bench/README.md:  sh bench/run.sh [small|all|spark|large|sales|covid|prices]
#   small  equal outputs and the 5,000-row process; prints only (default, a minute)
#   all    the tables of up to 5 M rows, and writes them into bench/README.md
#   spark  the tables of Spark, and writes them; needs Java, and Docker for the image's
#   large  the tables of 10 M and 50 M rows, and writes them; needs 20 GB of disk and 8 GB of memory
#   sales  the tables of section 2's questions on 10 M lines and of its loads, and writes them; ten minutes and more
#   covid  the table of section 4's load, and writes it
#   prices the table of section 5's answers, and writes it
# PYTHON     the interpreter for all contenders (default .venv/bin/python, which is prepared here)
# BENCH_DATA a folder to keep the generated inputs in (default: a temporary one, removed at the end)
# Exit code: 0 all targets held, 1 some were missed (all tables are measured and written first), 2 usage.
set -eu
cd "$(dirname "$0")/.."
size=${1:-small}
case $size in
small) categories="default bench" ;;
all) categories="default bench" ;;
spark) categories="default develop bench spark" ;;
large) categories="default bench" ;;
sales) categories="default bench postgres embedded sales" ;;
covid) categories="default bench postgres embedded covid" ;;
prices) categories="default bench classifier notebook" ;;
*) echo "usage: sh bench/run.sh [small|all|spark|large|sales|covid|prices]" >&2; exit 2 ;;
esac
if [ -z "${PYTHON-}" ]; then
    # shellcheck disable=SC2086  # the names of categories have no spaces
    sh batch/environment.sh $categories
fi
python=${PYTHON:-.venv/bin/python}
unset PYTHONDONTWRITEBYTECODE # else all that is not compiled is compiled in each process
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
table() { # script, place in the README, options
    script=$1 place=$2; shift 2
    echo "== $place"
    if [ "$size" != small ]; then set -- --publish "$place" "$@"; fi
    "$python" "bench/$script.py" "$@" || missed=1
    echo
}
equal() { # folder
    "$python" bench/equal.py "$1" product membership_duckdb membership_polars || missed=1
}

hand="membership_duckdb membership_polars"
# shellcheck disable=SC2086  # the names of contenders have no spaces
case $size in
small)
    generate 5000 2
    equal bench/traps
    equal "$data/5000"
    table measure cold --runs 5 --within 0.25 membership_duckdb --contenders product $hand -- "$data/5000"
    ;;
all)
    generate 5000 2
    generate 1000000 5
    generate 2000000 2
    generate 5000000 5
    equal bench/traps
    equal "$data/5000"
    equal "$data/1000000"
    table measure cold --runs 9 --within 0.25 membership_duckdb --contenders product $hand -- "$data/5000"
    table measure million --runs 5 --faster 2.5 membership_duckdb --peak 500 \
        --contenders product $hand -- "$data/1000000"
    table measure memory --runs 5 --growth 1.1 --contenders product -- "$data/2000000" "$data/5000000"
    ;;
spark)
    generate 5000 2
    generate 1000000 5
    original=../shared/data/membership # the challenge's own applications, where they are at hand
    [ ! -d "$original" ] || "$python" bench/peers/membership_spark_seed.py "$original" "$data/original"
    table measure start --runs 3 --faster 25 membership_spark_seed \
        --contenders product membership_spark_seed -- "$data/5000"
    table measure spark --runs 3 --faster 1.6 membership_spark_seed \
        --contenders product:spark membership_spark_seed -- "$data/1000000"
    table start image --runs 5 "$data/5000"
    table skew skew
    ;;
large)
    generate 10000000 5
    generate 50000000 5
    equal "$data/10000000"
    table measure ten_million --runs 6 --faster 2.5 membership_duckdb --faster 1 membership_polars --peak 500 \
        --contenders product $hand -- "$data/10000000"
    table measure growth --runs 3 --growth 1.1 --contenders product membership_polars -- \
        "$data/10000000" "$data/50000000"
    table limit limit --memory 1000 "$data/50000000" product membership_polars
    ;;
sales)
    export PYTHONPATH="$PWD"
    table section2_query section2_query --lines 10000000
    table section2_load section2_load --lines 500000 --members 200000 --rounds 2
    ;;
covid)
    table section4_load covid
    ;;
prices)
    table section5 prices
    ;;
esac
[ "$missed" = 0 ] || echo "Some targets were missed: they are marked above." >&2
exit "$missed"
