#!/bin/sh
# What a container of the image runs, by its first argument. `exec`, so that SIGTERM reaches the program itself.
# RELAY_HEALTH_HOST and RELAY_HEALTH_PORT, PREFECT_WORKER_WEBSERVER_HOST and _PORT say where health is served; probes from
# outside the container need the host 0.0.0.0.
set -eu
what=${1:-worker}
[ $# -gt 0 ] && shift
case $what in
  worker) exec reprise worker --with-healthcheck "$@" ;;
  relay) exec reprise relay --health-host "${RELAY_HEALTH_HOST:-127.0.0.1}" --health-port "${RELAY_HEALTH_PORT:-8081}" "$@" ;;
  apply | smoke | variables | diagnose | discover) exec reprise "$what" "$@" ;;
  server) exec reprise server --host 0.0.0.0 "$@" ;;
  *) exec "$what" "$@" ;;
esac
