#!/bin/sh
# What a container of the image runs, by its first argument. `exec`, so that SIGTERM reaches the program itself.
set -eu
what=${1:-worker}
[ $# -gt 0 ] && shift
case $what in
  worker) exec prefect worker start --pool reprise --limit 8 "$@" ;;
  relay) exec python -m relay "$@" ;;
  server) exec python -m deployments.server --host 0.0.0.0 "$@" ;;
  apply | smoke) exec python -m "deployments.$what" "$@" ;;
  *) exec "$what" "$@" ;;
esac
