#!/bin/bash
# Runs before kind's own entry point, and keeps the node from changing kernel settings that have no namespace:
# kubelet and systemd would set them for the whole machine. kubelet refuses to start on other values of the
# three that it checks, so it is shown the values it wants.
set -eu
mkdir -p /kind/sysctl
show() {
  echo "$2" >"/kind/sysctl/${1//\//.}"
  mount --bind "/kind/sysctl/${1//\//.}" "/proc/sys/$1"
}
show kernel/panic 10
show kernel/panic_on_oops 1
show vm/overcommit_memory 1
for tree in kernel vm fs; do
  mount --rbind "/proc/sys/$tree" "/proc/sys/$tree"
  mount -o remount,bind,ro "/proc/sys/$tree"
done
exec "$@"
