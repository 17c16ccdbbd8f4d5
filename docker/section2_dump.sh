#!/bin/sh
# Cron's job in the backup: compact the item sales, then a dump of the database and its roles (without passwords) in a folder of its own; the newest
# SECTION2_KEEP_DUMPS stay. README.md says how to restore one.
set -eu
umask 077
PGPASSFILE=/run/section2/pgpass
export PGPASSFILE PGHOST=postgresql PGUSER=postgres
printf '*:*:*:*:%s\n' "$(cat /run/secrets/postgres)" >"$PGPASSFILE"

psql --no-psqlrc --quiet --tuples-only --dbname sales --command "select sales.compact_item_sales()" >/dev/null
name=$(date -u +%Y%m%dT%H%M%SZ)
rm -rf /backup/*.partial
mkdir "/backup/$name.partial"
pg_dumpall --roles-only --no-role-passwords >"/backup/$name.partial/roles.sql"
pg_dump --format=custom --create --file="/backup/$name.partial/sales.dump" sales
sync "/backup/$name.partial"/*
mv "/backup/$name.partial" "/backup/$name"
echo "section2: dumped to /backup/$name, $(du -sh "/backup/$name" | cut -f1)"
# shellcheck disable=SC2012  # the names are dates
ls -1d /backup/[0-9]*Z | sort -r | tail -n "+$((${SECTION2_KEEP_DUMPS:-14} + 1))" | xargs -r rm -rf
touch /run/section2/ready
