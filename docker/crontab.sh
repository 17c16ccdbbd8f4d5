#!/bin/sh
# crontab -l: what cron runs here.
if [ "$*" != -l ]; then
    echo "crontab: only -l works here; the schedule is in section1/conf and docker/section1_crontab" >&2
    exit 2
fi
exec cat /run/section1/crontab
