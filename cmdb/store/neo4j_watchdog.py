"""A small process between the service and Neo4j: Neo4j never outlives its owner, and stops cleanly with it.

Run as a script, `python -I -S neo4j_watchdog.py LOG COMMAND...`, with a pipe from the owner as standard input. Starts
the command with its output appended to LOG, writes the child's process id and a newline to standard output, and waits.
End of file on the pipe (the owner closed it, or died in any way, kill -9 included: the kernel closes it) stops the
child: SIGTERM, which lets Neo4j write a checkpoint, and SIGKILL after a time. It exits when the child has, with its
status. On Linux the child also gets SIGTERM when this process itself is killed. Only the standard library is imported,
no package, so that it starts in some 15 ms and stays small (11 MB).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 25.0


def _load_libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def run(log_path: str, command: list[str]) -> int:
    """Run `command` until it ends or standard input does; returns its exit status (128 + n for signal n)."""
    libc = _load_libc()

    def die_with_watchdog() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    # The signal is bound to the thread that forks: this one, the main thread, which stays until the child has ended.
    with open(log_path, "ab") as log:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_watchdog
            )
        except OSError as error:
            log.write(f"{command[0]} could not be run: {error}\n".encode())
            return 127
    print(child.pid, flush=True)

    def stop_when_owner_is_gone() -> None:
        os.read(0, 1)  # unbuffered: a thread inside sys.stdin would make the interpreter's end fail
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=stop_when_owner_is_gone, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
