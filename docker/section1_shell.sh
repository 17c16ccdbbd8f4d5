#!/bin/sh
# The shell of the crontab: runs a line with a limit on its time (SECTION1_TIMEOUT) and leaves for the health check how
# it ended. What kills a run leaves no word in its log; this does.
begun=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
code=0
timeout --kill-after=30s "${SECTION1_TIMEOUT:-50m}" /bin/sh "$@" || code=$?
case $2 in
*section1_manage.py*)
    printf '%s %s\n' "$code" "$begun" >/run/section1/last_run.new && mv /run/section1/last_run.new /run/section1/last_run
    case $code in
    124) why="took longer than ${SECTION1_TIMEOUT:-50m} and was ended" ;;
    137) why="was killed; was that for want of memory? The container's limit is ${SECTION1_MEMORY:-not known}" ;;
    *) exit "$code" ;;
    esac
    printf 'section1: the run that began at %s %s\n' "$begun" "$why" >>section1/log/data_pipeline.log
    ;;
esac
exit "$code"
