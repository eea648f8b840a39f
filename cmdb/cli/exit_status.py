"""What the exit status of `cmdb` says; scripts may rely on it."""

from __future__ import annotations

from enum import IntEnum

from cmdb.errors import CmdbError


class ExitStatus(IntEnum):
    """One number for each kind of end; `explained` is the sentence of the reference page."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNAVAILABLE = 5
    INTERRUPTED = 130

    @property
    def explained(self) -> str:
        """The meaning, for people."""
        return _EXPLAINED[self]


_EXPLAINED = {
    ExitStatus.OK: "It is done, or the check passed.",
    ExitStatus.REFUSED: "The service refused it, a file was refused, or a check failed (`audit ledger`, `check`).",
    ExitStatus.USAGE: "The command line makes no sense: unknown command or option, missing or wrong argument, "
    "or an assertion that cannot be read.",
    ExitStatus.NOT_FOUND: "A name fits nothing, or more than one item (then the candidates are listed).",
    ExitStatus.NOT_ALLOWED: "There is no token, it is not good, or its role lacks the right.",
    ExitStatus.UNAVAILABLE: "The service or its Neo4j cannot be reached, is too busy, or did not answer in time.",
    ExitStatus.INTERRUPTED: "Stopped with Ctrl-C.",
}

_BY_CODE = {
    "NOT_FOUND": ExitStatus.NOT_FOUND,
    "AMBIGUOUS": ExitStatus.NOT_FOUND,
    "ASSERTION_INVALID": ExitStatus.USAGE,
    "UNAUTHENTICATED": ExitStatus.NOT_ALLOWED,
    "FORBIDDEN": ExitStatus.NOT_ALLOWED,
    "UNAVAILABLE": ExitStatus.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitStatus.UNAVAILABLE,
    "TOO_MANY_REQUESTS": ExitStatus.UNAVAILABLE,
    "LOCAL_SERVER": ExitStatus.UNAVAILABLE,
}


def exit_status_of(error: CmdbError) -> ExitStatus:
    """The exit status an error leads to, by its stable code."""
    return _BY_CODE.get(error.code, ExitStatus.REFUSED)
