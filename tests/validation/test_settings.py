"""Flags, variables and defaults."""

from pathlib import Path

import pytest

from sandbox import Layer
from validation_image.settings import Settings, read_settings


def test_without_flags_and_variables_the_defaults_hold() -> None:
    assert read_settings([], {}) == Settings()


def test_a_variable_is_read_and_a_flag_wins_over_it() -> None:
    environment = {
        "VALIDATION_LISTEN_PORT": "1",
        "VALIDATION_MEMORY_BYTES": "512Mi",
        "VALIDATION_CA_FILE": "/ca.pem",
    }
    settings = read_settings(["--listen-port", "2"], environment)
    assert (settings.listen_port, settings.memory_bytes, settings.ca_file) == (2, 512 << 20, Path("/ca.pem"))


def test_the_sandbox_is_required_unless_relaxed_by_name() -> None:
    assert read_settings([], {"VALIDATION_SANDBOX_RELAX": "required"}).sandbox_relax == frozenset()
    relaxed = read_settings([], {"VALIDATION_SANDBOX_RELAX": "landlock,seccomp"}).sandbox_relax
    assert relaxed == {Layer.LANDLOCK, Layer.SECCOMP}


def test_hosts_and_networks_are_allowed_by_comma() -> None:
    rule = read_settings(["--allow", "git.internal, 10.0.0.0/8"], {}).allow
    assert rule.allows("git.internal", "192.168.0.1")
    assert rule.allows("other", "10.1.1.1")
    assert not rule.allows("other", "192.168.0.1")


def test_a_wrong_variable_is_told_like_a_wrong_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings([], {"VALIDATION_WALL_SECONDS": "-1"})
    assert "--wall-seconds: '-1': must be greater than 0" in capsys.readouterr().err


def test_the_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(["--help"], {})
    assert "VALIDATION_REPOSITORY_BYTES" in capsys.readouterr().out
