#!/bin/sh
# What section 4's loader container does: a first load at once, then cron. The health check waits for the dashboards,
# which the first load writes, opening on the days that have figures.
set -eu
cd /app
printf '%s timeout 50m python3 /app/section4_manage.py load\n' \
    "$(python3 -c 'from section4 import settings; print(settings.load("section4_process.yaml").schedule)')" \
    >/run/section4/crontab
python3 section4_manage.py load || echo "section4: the first load failed, for the reason above; cron tries again" >&2
exec supercronic /run/section4/crontab
