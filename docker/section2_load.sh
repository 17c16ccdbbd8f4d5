#!/bin/sh
# Cron's job in the loader: take in section 1's new runs.
set -eu
cd /app
if [ -L section1/resource/dest/current ]; then
    timeout 50m python3 section2_manage.py --config section2_loader.yaml load-members
else
    echo "section2: section 1 has published nothing yet"
fi
touch /run/section2/ready
