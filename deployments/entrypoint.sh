#!/bin/sh
# What a container of the image runs, by its first argument. `exec`, so that SIGTERM reaches the program itself.
set -eu
what=${1:-worker}
[ $# -gt 0 ] && shift
case $what in
  worker | relay | apply | smoke | variables | diagnose) exec reprise "$what" "$@" ;;
  server) exec reprise server --host 0.0.0.0 "$@" ;;
  *) exec "$what" "$@" ;;
esac
