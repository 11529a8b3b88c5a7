"""Run the command that is given and print what it took, as JSON: {"seconds", "exit_code", "peak_bytes"}.

A program of its own, for Linux counts the memory of the process that starts another into the other's peak: this one is
small, while the benchmark holds loaded models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    """Exit code of a process, and the peak of its resident memory in bytes where the system tells."""
    if not hasattr(os, "wait4"):  # Windows
        return process.wait(), None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """The first word names a file for the command's stdout; its stderr goes where this program's does."""
    with open(sys.argv[1], "wb") as said:
        begin = time.perf_counter()
        exit_code, peak = _wait(subprocess.Popen(sys.argv[2:], stdout=said))
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "exit_code": exit_code, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
