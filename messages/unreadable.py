"""What may be raised by reading a message that somebody else has made up."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises, in JSON and in MessagePack, for bytes that are not the message that was asked for.

The last two are no errors of its own: strings that are not UTF-8, and arrays nested without end.
"""
