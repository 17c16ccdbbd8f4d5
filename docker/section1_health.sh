#!/bin/sh
# The container's health check: waits for the first run, then answers within seconds.
flock --shared /run/section1/first_run true
exec timeout --kill-after=5s 60s python3 section1_manage.py health --notify
