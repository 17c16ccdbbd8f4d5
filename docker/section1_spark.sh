#!/bin/sh
# A container of the cluster: section1_spark.sh CLASS [ARGUMENTS] is Spark's master or worker; section1_spark.sh health
# URL is its health check, an answer of its page.
set -eu
if [ "$1" = health ]; then
    exec python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$2"
fi
umask 027
SPARK_HOME=$(python3 -c 'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])')
export SPARK_HOME SPARK_DAEMON_MEMORY=256m SPARK_LOCAL_DIRS=/tmp/local SPARK_WORKER_DIR=/tmp/work
export SPARK_DAEMON_JAVA_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# What an executor left is removed after an hour: each run makes a folder.
export SPARK_WORKER_OPTS="-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.appDataTtl=3600"
class=$1
shift
exec "$SPARK_HOME/bin/spark-class" "org.apache.spark.deploy.$class" "$@"
