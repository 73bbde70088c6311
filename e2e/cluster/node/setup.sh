#!/bin/bash
# Runs once, while the node image is built: what kind's base Dockerfile and `kind build node-image` do.
set -eu
chmod 0755 /kind /kind/bin /kind/bin/* /usr/local/bin/* /usr/bin/kube*

# Units that make no sense in a container.
units=/lib/systemd/system
rm -f "$units"/multi-user.target.wants/* /etc/systemd/system/*.wants/* "$units"/local-fs.target.wants/* \
  "$units"/sockets.target.wants/*udev* "$units"/sockets.target.wants/*initctl* "$units"/basic.target.wants/* \
  "$units"/sysinit.target.wants/systemd-tmpfiles-setup.service
systemctl mask systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
echo ReadKMsg=no >>/etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init

# Settings outside net.* belong to the machine, not to the node.
rm -f /usr/lib/sysctl.d/* /etc/sysctl.d/99-sysctl.conf

# Where kind looks for what Debian keeps elsewhere.
for program in containerd ctr containerd-shim-runc-v2; do
  ln -sf "/usr/bin/$program" "/usr/local/bin/$program"
done
mkdir -p /opt/cni/bin /etc/kubernetes/manifests /etc/cni/net.d
cp /usr/lib/cni/{bridge,host-local,loopback,portmap,ptp} /opt/cni/bin/
ctr oci spec \
  | jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  >/etc/containerd/cri-base.json
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
kubelet --version | awk '{printf "%s", $2}' >/kind/version

# The images that a node starts with go into containerd's store now, so that creating a cluster pulls nothing.
containerd >/tmp/containerd.log 2>&1 &
daemon=$!
for _ in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  sleep 0.1
done
ctr -n k8s.io images import --all-platforms --no-unpack --digests /system-images.tar || {
  cat /tmp/containerd.log
  exit 1
}
kill "$daemon"
wait "$daemon" || true
rm -rf /tmp/* /run/containerd /var/cache/apt/* /var/lib/apt/lists/*
