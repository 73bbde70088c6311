"""An attempt that cannot go on, and how that is written for its user within the kubelet's limit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from messages.failure import EXIT_CODES, TERMINATION_MESSAGE_LIMIT, ExecutorReason, Failure

MESSAGE_LIMIT = 1000
"""Characters of a message; the rest of a termination message is for the traceback."""


class Failed(Exception):
    """The attempt is over. Whoever catches it writes the report and ends the process."""

    def __init__(
        self, reason: ExecutorReason, message: str, *, line: int | None = None, traceback: str | None = None
    ) -> None:
        self.reason = reason
        self.failure = Failure(reason=reason, message=message, line=line, traceback=traceback)
        super().__init__(message)

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return EXIT_CODES[self.reason]


def termination_message(failure: Failure) -> bytes:
    """`failure` as JSON of at most `TERMINATION_MESSAGE_LIMIT` bytes; the traceback loses its beginning first."""
    folded = " ".join(failure.message.split())[:MESSAGE_LIMIT]
    report = msgspec.structs.replace(failure, message=folded)
    tail = report.traceback or ""
    while len(encoded := msgspec.json.encode(report)) > TERMINATION_MESSAGE_LIMIT:
        # Characters outside ASCII and control characters take up to six bytes, so this may need a few rounds.
        tail = tail[len(tail) // 4 + 1 :]
        report = msgspec.structs.replace(
            report, traceback=f"…{tail}" if tail else None, message=report.message if tail else folded[:300]
        )
    return encoded


def write_termination_message(path: Path | None, failure: Failure) -> None:
    """Leave the report where the kubelet looks for it. Without it, the exit code alone tells the reason."""
    if path is None:
        return
    try:
        path.write_bytes(termination_message(failure))
    except OSError:
        return
