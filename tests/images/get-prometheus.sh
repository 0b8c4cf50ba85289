#!/bin/sh
# Finds Prometheus for the test that holds our answers against its own, or unpacks Debian's package into the folder that is given: nothing of the
# machine changes. Exits 0 either way: the test says by name that it was left out, and in CI it fails where apt could have brought it.
FOLDER=$1
command -v prometheus >/dev/null 2>&1 && exit 0
[ -x "$FOLDER/usr/bin/prometheus" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1; then
  echo "Unpacking Debian's prometheus into $FOLDER for the test of PromQL"
  mkdir -p "$FOLDER" && cd "$FOLDER" || exit 0
  apt-get download -qq prometheus >/dev/null 2>&1 || { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 && apt-get download -qq prometheus >/dev/null 2>&1; }
  for each in prometheus_*.deb; do [ -e "$each" ] && dpkg -x "$each" . && rm "$each"; done
  [ -x usr/bin/prometheus ] && exit 0
fi
echo "No Prometheus here and none could be fetched: what is held against it will be skipped by name"
exit 0
