"""What a QiskitJob runs: `spec.circuit`, one source of four, and how to read it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.block import Block, ObjectName, matching, rule, rules

CODE_LIMIT = 512 * 1024
"""Characters of inline code, the measure of a schema."""

CODE_BYTES = 1 << 20
"""Bytes of inline code. etcd takes objects of 1.5 MiB, and the rest of the spec and status need their share."""


HttpsAddress = Annotated[
    str,
    matching(
        r"^https://[^\s]+$", "must be an address that begins with https:// and has no spaces", longest=2048
    ),
]
"""Where a source is fetched from. Nothing that could be changed on its way is run."""


class ConfigMapKeyReference(Block):
    """A key of a ConfigMap in the job's namespace."""

    name: ObjectName
    """The ConfigMap's name. If it does not exist yet, the job waits for it until `timeouts.pending`."""

    key: Annotated[
        str,
        matching(
            r"^[-._a-zA-Z0-9]+$",
            "must be a key as ConfigMaps have them: letters, digits, '-', '_' and '.', such as bell.py",
            longest=253,
            shortest=1,
        ),
    ]
    """The key in `data`, or in `binaryData` for QPY."""


class GitReference(Block):
    """A file of a Git repository that is reachable over https."""

    repository: HttpsAddress
    """The address to clone from. Only https, and no private, loopback or link-local address unless the
    administrator allows it."""

    path: Annotated[str, Field(min_length=1, max_length=1024)]
    """The file, from the root of the repository."""

    branch: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The branch or tag; the repository's default branch unless given."""

    revision: (
        Annotated[
            str,
            matching(
                r"^([0-9a-f]{40}|[0-9a-f]{64})$",
                "must be a full commit ID of 40 hexadecimal digits, as git rev-parse HEAD prints it",
                longest=64,
            ),
        ]
        | None
    ) = None
    """The commit, by its full ID (`git rev-parse HEAD`): a server hands out no other. Without it the newest one of
    the branch is taken; `status.source.revision` records which."""


def _belongs_to(source: str, block: str) -> tuple[dict[str, Any], ...]:
    return (
        rule(
            f"self.source != '{source}' || has(self.{block})", f"source {source} needs {block}", field=block
        ),
        rule(
            f"self.source == '{source}' || !has(self.{block})",
            f"{block} goes with source {source} only",
            field=block,
        ),
    )


class CircuitSpec(Block):
    """The circuit: where its source is, and how to read it. Exactly the block that `source` names is
    given."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *_belongs_to("inline", "code"),
            *_belongs_to("configmap", "configMapRef"),
            *_belongs_to("url", "url"),
            *_belongs_to("git", "gitRef"),
            rule(
                "self.source != 'inline' || !has(self.format) || self.format != 'qpy'",
                "QPY is binary and cannot be inline; put it into binaryData of a ConfigMap",
                field="format",
            ),
        )
    )

    source: Literal["inline", "configmap", "url", "git"]
    """Where the source is: `inline` in `code`, `configmap` in `configMapRef`, `url` in `url`, `git` in
    `gitRef`."""

    code: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=CODE_LIMIT,
                json_schema_extra=rules(
                    rule(
                        f"bytes(self).size() <= {CODE_BYTES}",
                        "must take at most 1 MiB in UTF-8, where a character outside ASCII takes 2 to 4 bytes",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """The source itself, up to 512 Ki characters and 1 MiB in UTF-8. Client-side `kubectl apply` keeps a
    copy in an annotation and so stops near 200 KiB: use `kubectl apply --server-side` or a ConfigMap beyond that."""

    config_map_ref: ConfigMapKeyReference | None = None
    """The key of a ConfigMap that holds the source."""

    url: HttpsAddress | None = None
    """The https address of the source. It is fetched once and kept with its hash in the ConfigMap
    `input-<job uid>`. Private, loopback and link-local addresses are refused, after redirects too, unless
    the administrator allows them."""

    git_ref: GitReference | None = None
    """The file of a Git repository that holds the source; fetched once and kept like that of a URL."""

    format: Literal["python", "qasm2", "qasm3", "qpy"] | None = None
    """The language: `python`, `qasm2` and `qasm3` (OpenQASM), or `qpy`. Detected from the content unless
    given."""

    entrypoint: (
        Annotated[
            str,
            matching(
                r"^[A-Za-z_][A-Za-z0-9_.-]*$",
                "must be a name of the code or the QPY file: a letter or '_', then letters, digits, '_', '-' and '.'",
                longest=128,
            ),
        ]
        | None
    ) = None
    """For Python: the variable that holds the circuit or a list of circuits, or a function that returns one,
    whose arguments are taken from `parameters`; unless given it is `qc`, `circuit` or `circuits`, else the
    circuit that was bound last. For QPY: the name of one circuit of the file; unless given all are run."""

    parameters: (
        Annotated[
            list[Annotated[dict[str, float], Field(min_length=1, max_length=256)]], Field(max_length=1000)
        ]
        | None
    ) = None
    """Values for the circuit's parameters, by name. Each entry is one run of a sweep, and the result holds
    the counts of each. Quote the names `n`, `y`, `on`, `off`, `yes` and `no`: YAML reads them as booleans
    otherwise."""
