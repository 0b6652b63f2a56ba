#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Loads both objects on the kernel this runs on; prints what the verifier says.
place=/sys/fs/bpf/relatd_load_$$
result=0
for object in bpf/dist/relatd.bpf.o bpf/dist/relatd.test.bpf.o; do
  # The same limits as here: bpftool prints the verifier's log on failure only.
  if bpftool prog loadall "$object" "$place" pinmaps "$place/maps" >/tmp/load.$$ 2>&1; then
    echo "$(uname -r): $object: loaded $(ls "$place" | grep -vc '^maps$') programs"
    [ -n "$VERBOSE" ] && bpftool prog show
  else
    echo "$(uname -r): $object: refused"
    tail -c "${LOG_BYTES:-6000}" /tmp/load.$$
    result=1
  fi
  rm -rf "$place" /tmp/load.$$
done
exit $result
