"""Manifests to learn from, and the checks that tell whether their counts are right."""
