#!/bin/sh
# Set up what the tests need and run every test that this machine can run, within ten minutes.
#
#   sh test_runner.sh [--full] [--coverage] [pytest's arguments]
#
#   --full       also the long tests: soaks, many kill points, large data (the tests look at FULL_TESTS=1)
#   --coverage   measure the coverage of the run and of the processes that it starts into .coverage
#
# All tests together run in two processes; some, chosen by pytest's arguments, in one.
# What could not run, and why, stands at the end of the output. The exit code is pytest's, or 5 without an environment.
set -eu
case $0 in
*/*) CDPATH='' cd -P -- "${0%/*}" ;;
esac

measure=
while [ $# -gt 0 ]; do
    case $1 in
    --full) export FULL_TESTS=1 ;;
    --coverage) measure=yes ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- --numprocesses 2 --dist loadgroup

# Java's major version: 17 of 'openjdk version "17.0.15" 2025-04-15', 1 of 'java version "1.8.0_292"', else nothing.
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
categories="default develop postgres embedded sales schema covid" # of all sections
version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || :
if [ "${version:-0}" -ge 17 ]; then
    no_spark=
    sh batch/environment.sh $categories spark
else
    no_spark="they need Java 17 or newer and $java is ${version:+version }${version:-not there}"
    sh batch/environment.sh $categories
    set -- -m "not spark" "$@"
fi

unset PYTHONHOME PYTHONPATH
if [ -n "$measure" ]; then
    .venv/bin/python -m coverage erase
    set -- coverage run -m pytest "$@"
else
    set -- pytest "$@"
fi
code=0
.venv/bin/python -m "$@" || code=$?
if [ -n "$measure" ]; then
    .venv/bin/python -m coverage combine --quiet || code=$?
fi

[ -n "${FULL_TESTS-}" ] || echo "Not run: the long tests; they need time: sh test_runner.sh --full"
[ -z "$no_spark" ] ||
    printf '%s\n' "Not run: the Spark tests; $no_spark. Install it, for example: apt-get install default-jre-headless"
exit "$code"
