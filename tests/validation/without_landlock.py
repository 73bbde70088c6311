"""Runs the service as on a kernel without Landlock: a seccomp filter makes its system calls fail."""

import errno
import os
import sys

from sandbox import kernel
from sandbox.bpf import ALLOW, Program, fail_with
from sandbox.seccomp import install
from validation_image.__main__ import main

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
LANDLOCK_CREATE_RULESET = 444

program = Program()
program.require_architecture(ARCHITECTURE)
program.on(LANDLOCK_CREATE_RULESET, fail_with(errno.ENOSYS))
program.otherwise(ALLOW)
kernel.prctl(38, 1)  # no_new_privs, without which no filter can be installed
install(program)
main(sys.argv[1:])
