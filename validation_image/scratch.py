"""Telling code that misses its scratch folder from code that reaches where it must not.

An executor gives each job a folder to write in; the validation service, which looks at the circuits of many
users side by side, has none to give. Code that fails for want of it is no faulty code.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

WITHOUT_FOLDER = "ValidationWithoutFolder"

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def misses_scratch(error: BaseException) -> bool:
    """Whether `error`, or what led to it, comes of using the working directory, home or temporary folder."""
    return any(isinstance(one, OSError) and _wants_scratch(one) for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _wants_scratch(error: OSError) -> bool:
    if error.errno == errno.ENOENT and error.filename is None:
        return "No usable temporary directory" in str(error.strerror)
    if error.errno not in _REFUSED or not isinstance(error.filename, str):
        return False
    # The three of them are one folder here: the root, as which it also shows in an absolute path.
    path = os.path.normpath(error.filename)
    return not os.path.isabs(path) or os.path.dirname(path).strip("/") == ""
