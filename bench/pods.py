"""Pods as large as real ones: about 5 KB of spec and status, and managedFields on top."""

from __future__ import annotations

from typing import Any


def pod(name: str) -> dict[str, Any]:
    """A pod as a deployment of some company makes it."""
    environment: list[dict[str, Any]] = [
        {"name": f"SETTING_{number}", "value": f"https://service-{number}.example.com/api/v{number}"}
        for number in range(12)
    ]
    environment.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app": "bench",
                "tier": "backend",
                "pod-template-hash": "7d9f8c6b5d",
                "version": "v1.2.3",
            },
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "8080",
                "checksum/config": "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
            },
        },
        "spec": {
            "nodeName": "node-1",
            "priority": 0,
            "securityContext": {"runAsNonRoot": True, "fsGroup": 2000},
            "containers": [
                {
                    "name": container,
                    "image": f"registry.example.com/team/{container}:1.2.3",
                    "env": environment,
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "resources": {
                        "requests": {"cpu": "250m", "memory": "256Mi"},
                        "limits": {"cpu": "1", "memory": "1Gi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
                    "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
                }
                for container in ("server", "sidecar")
            ],
            "volumes": [{"name": "config", "configMap": {"name": "config"}}, {"name": "tmp", "emptyDir": {}}],
            "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "bench", "effect": "NoSchedule"}
            ],
        },
    }


def running_status() -> dict[str, Any]:
    """The status that a kubelet would have written."""
    at = "2026-01-01T00:00:00Z"
    return {
        "status": {
            "phase": "Running",
            "podIP": "10.1.2.3",
            "hostIP": "10.0.0.1",
            "startTime": at,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": at}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": container,
                    "ready": True,
                    "restartCount": 0,
                    "image": f"registry.example.com/team/{container}:1.2.3",
                    "imageID": f"registry.example.com/team/{container}@sha256:{'0123456789abcdef' * 4}",
                    "containerID": f"containerd://{'0123456789abcdef' * 4}",
                    "state": {"running": {"startedAt": at}},
                }
                for container in ("server", "sidecar")
            ],
        }
    }
