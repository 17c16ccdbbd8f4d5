#!/bin/sh
# The health check: section2_health.sh database | loader | backup. The database is asked over the network as the loader,
# an application role, for what the questions need; a job must have succeeded within its period and a half.
set -eu
case $1 in
database)
    [ -e /run/section2/ready ]
    PGPASSWORD=$(cat /run/secrets/loader) psql --no-psqlrc --quiet --tuples-only --host 127.0.0.1 --username loader \
        --dbname sales --command "set statement_timeout = '5s'; select status from sales.transaction_status limit 1"
    ;;
loader) [ -n "$(find /run/section2/ready -mmin -90)" ] ;;
backup) [ -n "$(find /run/section2/ready -mmin -2160)" ] ;;
esac
