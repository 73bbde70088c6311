#!/bin/bash
# The first process in the cluster's namespaces: gives them mounts of their own, then waits to be killed.
# $1: the cluster's folder. Nothing that is done here is visible on the machine outside.
set -eu
mount --make-rprivate /

# Each controller is mounted through the new cgroup namespace, so its root is the cluster's own cgroup.
controllers="blkio cpu cpuacct cpuset devices freezer memory pids systemd"
umount -R /sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for controller in $controllers; do
  mkdir "/sys/fs/cgroup/$controller"
  options=$controller
  [ "$controller" = systemd ] && options=none,name=systemd
  mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$controller"
done

mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm

# kind mounts /lib/modules into its nodes; a machine without modules has no such folder.
if [ ! -d /lib/modules ]; then
  mkdir -p "$1/usr-lib/upper/modules" "$1/usr-lib/work"
  mount -t overlay overlay -o "lowerdir=/usr/lib,upperdir=$1/usr-lib/upper,workdir=$1/usr-lib/work" /usr/lib
fi

mount --make-rshared /
ip link set lo up
hostname e2e
echo 1 >/proc/sys/net/ipv4/ip_forward
touch "$1/ready"
exec tini -g -- sleep infinity
