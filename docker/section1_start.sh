#!/bin/sh
# What the container does: a first run at once, then cron. Ends when it is told to (a run that goes on may finish
# before), or when cron dies: then whoever waits for alerts is told, and Docker starts the container again.
set -eu
cd /app
state=/run/section1
umask 027

exec 9>"$state/first_run"
flock 9 # the health check waits for it
# The schedule is the YAML's, or SECTION1_SCHEDULE's. Where the YAML is wrong, the first run says so in the log.
schedule=$(python3 -c 'from section1 import settings; print(settings.load("section1_process.yaml", []).settings.schedule)' \
    2>/dev/null) || schedule='0 * * * *'
awk -v schedule="$schedule" '/section1_manage/ { sub(/.*python3/, schedule " python3") } 1' docker/section1_crontab \
    >"$state/crontab"

stopping=
cron=
trap 'stopping=yes; [ -z "$cron" ] || kill -TERM "$cron" 2>/dev/null || :' TERM INT
line=$(sed -n 's/^.* python3 section1_manage/python3 section1_manage/p' "$state/crontab")
docker/section1_shell.sh -c "$line" 9>&- || echo "section1: the first run failed: see section1/log/data_pipeline.log" >&2
[ -z "$stopping" ] || exit 0

supercronic "$state/crontab" 9>&- &
cron=$!
echo "$cron" >"$state/cron.pid"
exec 9>&-
while :; do
    code=0
    wait "$cron" || code=$?
    kill -0 "$cron" 2>/dev/null || break # it was our own signal that ended the wait: cron waits for its runs
done
[ -z "$stopping" ] || exit 0
echo "section1: cron ended with $code" >&2
python3 section1_manage.py health --notify || :
exit 1
