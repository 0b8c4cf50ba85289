#!/bin/sh
# Finds Chromium for the browser tests, or fetches it where that needs no question: Debian's package as root, else playwright's own.
# Exits 0 either way: the tests themselves say by name that they were left out, and why.
BIN=$1
for each in chromium chromium-browser google-chrome; do
  command -v "$each" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Debian's chromium for the browser tests"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 && exit 0
fi
"$BIN/playwright" install chromium >/dev/null 2>&1 || echo "No Chromium here and none could be fetched: browser tests will be skipped by name"
exit 0
