"""Settings: flags before variables before defaults, and errors that say what to do."""

from __future__ import annotations

import pytest

from controller.command_line import BadSettings, flag, read_settings, unknown_variables
from controller.settings import ENV_PREFIX, Settings

REQUIRED = ["--gateway-advertise-host", "10.0.0.1"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(ENV_PREFIX):
            monkeypatch.delenv(name)


def read(*argv: str) -> Settings:
    return read_settings([*REQUIRED, *argv])


def complaint(*argv: str) -> str:
    with pytest.raises(BadSettings) as caught:
        read(*argv)
    return str(caught.value)


def test_the_defaults_are_those_that_the_docs_name() -> None:
    settings = read()
    assert settings.namespaces == ()
    assert settings.leader_election
    assert settings.default_max_execution_time == 3600
    assert settings.max_executors == 0
    assert (settings.lease_duration, settings.renew_deadline, settings.retry_period) == (15, 10, 2)
    assert settings.shutdown_grace == 30
    assert settings.advertised_host == "10.0.0.1"


def test_a_flag_outranks_a_variable_and_a_variable_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QISKIT_OPERATOR_WORKERS", "3")
    assert read().workers == 3
    assert read("--workers", "5").workers == 5


@pytest.mark.parametrize(
    "argv", [["--namespaces", "a,b"], ["--namespaces", "a", "--namespaces", "b"], ["--namespaces", "a, b,,a"]]
)
def test_a_list_is_written_with_commas_or_by_repeating(argv: list[str]) -> None:
    assert read(*argv).namespaces == ("a", "b")


def test_lists_and_mappings_in_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QISKIT_OPERATOR_NAMESPACES", "lab,prod")
    monkeypatch.setenv("QISKIT_OPERATOR_PRIORITY_CLASSES", "low=batch,urgent=now.please")
    monkeypatch.setenv("QISKIT_OPERATOR_SANDBOX_RELAX", "landlock")
    settings = read()
    assert settings.namespaces == ("lab", "prod")
    assert settings.priority_classes == {"low": "batch", "urgent": "now.please"}
    assert settings.sandbox_relax == ("landlock",)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), ("2.5", 2.5)])
def test_durations_have_a_unit_or_are_seconds(text: str, seconds: float) -> None:
    assert read("--default-max-execution-time", text).default_max_execution_time == seconds


def test_switches_can_be_turned_off_by_name() -> None:
    assert not read("--no-leader-election").leader_election


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--workers", "0"], "greater than or equal to 1"),
        (["--workers", "many"], "valid integer"),
        (["--namespaces", "Lab_1"], "not the name of a namespace"),
        (["--reconcile-timeout", "5 parsecs"], "write for example 90s"),
        (["--reconcile-timeout", "0"], "greater than 0"),
        (["--gateway-listen-port", "65536"], "less than or equal to 65535"),
        (["--priority-classes", "huge=a"], "'low', 'normal', 'high' or 'urgent'"),
        (["--priority-classes", "low"], "no name=value"),
        (["--priority-classes", "low=No Good"], "not the name of an object"),
        (["--sandbox-relax", "everything"], "'no_new_privs', 'seccomp', 'landlock' or 'rlimits'"),
        (["--validation-url", "nowhere"], "valid URL"),
        (["--log-level", "loud"], "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_an_error_names_the_flag_the_variable_and_the_meaning(argv: list[str], says: str) -> None:
    text = complaint(*argv)
    name = argv[0].removeprefix("--").replace("-", "_")
    assert text.startswith(argv[0])
    assert f"{ENV_PREFIX}{name.upper()}" in text
    assert says in text
    assert "Meaning: " in text


def test_all_errors_are_told_at_once() -> None:
    assert len(complaint("--workers", "0", "--log-level", "loud").splitlines()) == 2


def test_lease_timings_are_checked_together() -> None:
    text = complaint("--lease-duration", "5s")
    assert "--lease-duration, --renew-deadline and --retry-period" in text
    assert "longer than the renew deadline (10 s)" in text


def test_a_user_name_in_the_validation_services_address_is_not_dropped_in_silence() -> None:
    text = complaint("--validation-url", "http://me:hush@validation:8080")
    assert "--validation-url has a user name in it" in text
    assert "hush" not in text


def test_executors_cannot_be_told_a_wildcard() -> None:
    with pytest.raises(BadSettings, match=r"--gateway-advertise-host is missing.*Set it to"):
        read_settings([])
    assert read_settings(["--gateway-listen-address", "127.0.0.1"]).advertised_host == "127.0.0.1"


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "gateway.lab.svc", "localhost", "gw.example.com."])
def test_executors_are_told_an_address_or_a_host_name(host: str) -> None:
    assert read("--gateway-advertise-host", host).advertised_host == host


@pytest.mark.parametrize(
    "host", ["https://gw", "gw:8443", "a b", "gw-", "$(QISKIT_OPERATOR_GATEWAY_SERVICE_HOST)"]
)
def test_anything_else_is_refused_with_its_likely_cause(host: str) -> None:
    text = complaint("--gateway-advertise-host", host)
    assert "neither an IP address nor a host name" in text
    assert ("the gateway's Service was not there" in text) is host.startswith("$(")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QISKIT_OPERATOR_WORKERS", "")
    monkeypatch.setenv("QISKIT_OPERATOR_KUBECONFIG", "")
    settings = read()
    assert (settings.workers, settings.kubeconfig) == (8, None)


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        assert flag(name) in text
        assert field.description, name


def test_a_flag_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read("--wrokers", "3")
    assert caught.value.code == 2
    assert "--wrokers" in capsys.readouterr().err


def test_misspelt_variables_are_found_and_service_links_are_not() -> None:
    found = unknown_variables(
        {
            "QISKIT_OPERATOR_WROKERS": "3",
            "QISKIT_OPERATOR_WORKERS": "3",
            "QISKIT_OPERATOR_GATEWAY_SERVICE_HOST": "10.0.0.7",
            "QISKIT_OPERATOR_GATEWAY_SERVICE_PORT_HTTPS": "443",
            "QISKIT_OPERATOR_GATEWAY_PORT": "tcp://10.0.0.7:443",
            "QISKIT_OPERATOR_GATEWAY_PORT_443_TCP_ADDR": "10.0.0.7",
            "PATH": "/bin",
        }
    )
    assert found == {"QISKIT_OPERATOR_WROKERS": "QISKIT_OPERATOR_WORKERS"}


@pytest.mark.parametrize("service", ["gateway", "validation", "metrics"])
def test_no_setting_is_overwritten_by_the_service_links_of_our_own_services(service: str) -> None:
    base = f"QISKIT_OPERATOR_{service.upper()}"
    links = {f"{base}_PORT", f"{base}_SERVICE_HOST", f"{base}_SERVICE_PORT", f"{base}_PORT_8443_TCP"}
    assert not links & {ENV_PREFIX + name.upper() for name in Settings.model_fields}
