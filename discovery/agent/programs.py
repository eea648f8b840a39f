"""What program a process is, and what class of software that program belongs to."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Software:
    """A kind of software: the class of its instances, its product name, and its engine if it is a database."""

    class_name: str
    product: str
    engine: str | None = None


KNOWN = {
    "nginx": Software("WebServer", "nginx"),
    "apache2": Software("WebServer", "Apache HTTP Server"),
    "httpd": Software("WebServer", "Apache HTTP Server"),
    "caddy": Software("WebServer", "Caddy"),
    "lighttpd": Software("WebServer", "lighttpd"),
    "uvicorn": Software("WebServer", "Uvicorn"),
    "gunicorn": Software("WebServer", "Gunicorn"),
    "catalina": Software("WebServer", "Apache Tomcat"),
    "postgres": Software("DatabaseInstance", "PostgreSQL", "postgresql"),
    "mysqld": Software("DatabaseInstance", "MySQL", "mysql"),
    "mariadbd": Software("DatabaseInstance", "MariaDB", "mariadb"),
    "mongod": Software("DatabaseInstance", "MongoDB", "mongodb"),
    "neo4j": Software("DatabaseInstance", "Neo4j", "neo4j"),
    "cassandra": Software("DatabaseInstance", "Apache Cassandra", "cassandra"),
    "elasticsearch": Software("DatabaseInstance", "Elasticsearch", "elasticsearch"),
    "influxd": Software("DatabaseInstance", "InfluxDB", "influxdb"),
    "clickhouse-server": Software("DatabaseInstance", "ClickHouse", "clickhouse"),
    "redis-server": Software("Cache", "Redis"),
    "valkey-server": Software("Cache", "Valkey"),
    "memcached": Software("Cache", "Memcached"),
    "rabbitmq": Software("MessageBroker", "RabbitMQ"),
    "kafka": Software("MessageBroker", "Apache Kafka"),
    "mosquitto": Software("MessageBroker", "Mosquitto"),
    "nats-server": Software("MessageBroker", "NATS"),
}
"""Programs by name; others are plain software instances."""

JAVA_PRODUCTS = (
    ("org.neo4j.", "neo4j"),
    ("org.apache.catalina.", "catalina"),
    ("org.apache.cassandra.", "cassandra"),
    ("org.elasticsearch.", "elasticsearch"),
    ("kafka.", "kafka"),
)
"""Products by where their main class lies."""

_INTERPRETER = re.compile(r"(python|pypy|perl|ruby|node|nodejs|php|java|bash|sh|dash|lua|beam\.smp)[\d.]*")
_TITLE = re.compile(r"^([\w.+-]+):(\s|$)")
_JAVA_CLASS = re.compile(r"[a-z][\w]*(\.[\w$]+)+")
_VALUED = {"python": "WXcm", "perl": "IMm", "ruby": "IrE", "php": "cdz", "bash": "oO", "sh": "o", "dash": "o"}
_JAVA_VALUED = frozenset(
    [
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--add-modules",
        "--add-opens",
        "--add-exports",
        "--add-reads",
    ]
)


def program_of(executable: str | None, arguments: Sequence[str], command: str) -> str:
    """The name people know a process by: of an interpreter, the script or class it runs.

    Args:
        executable: the path of its executable, None where it may not be seen.
        arguments: its command line; programs may write a title into the first (`nginx: worker process`).
        command: its short name (comm), at most 15 characters.
    """
    first = arguments[0] if arguments else ""
    title = _TITLE.match(first)
    if title:
        return title[1]
    name = (
        os.path.basename(executable.removesuffix(" (deleted)") if executable else first.lstrip("-"))
        or command
    )
    interpreter = _INTERPRETER.fullmatch(name)
    if interpreter is None:
        return name
    kind = interpreter[1]
    script = _java_program(arguments[1:]) if kind == "java" else _script(kind, arguments[1:])
    if kind == "beam.smp":
        script = "rabbitmq" if any("rabbit" in argument for argument in arguments) else "beam"
    return script or kind


def software_of(program: str) -> Software:
    """The kind of software a program is."""
    return KNOWN.get(program.lower(), Software("SoftwareInstance", program))


def _script(kind: str, arguments: Sequence[str]) -> str | None:
    rest = iter(arguments)
    valued = _VALUED.get(kind, "")
    for argument in rest:
        if argument == "-m" and kind in ("python", "pypy"):
            return next(rest, "").removesuffix(".__main__") or None
        if argument in ("-c", "-e"):
            return None
        if argument.startswith("-"):
            if len(argument) == 2 and argument[1] in valued:
                next(rest, None)
            continue
        return _stem(argument)
    return None


def _stem(path: str) -> str:
    name = os.path.basename(path.rstrip("/"))
    stem = re.sub(r"\.(py|pyc|pl|rb|js|mjs|cjs|php|sh|lua|jar)$", "", name)
    folder = os.path.basename(os.path.dirname(path.rstrip("/")))
    return folder if stem in ("__main__", "index", "main", "server", "app") and folder else stem


def _java_program(arguments: Sequence[str]) -> str | None:
    rest = iter(arguments)
    for argument in rest:
        if argument == "-jar":
            return _stem(next(rest, "")) or None
        if argument in ("-m", "--module"):
            argument = next(rest, "").rpartition("/")[2]
        elif argument in _JAVA_VALUED:
            next(rest, None)
            continue
        elif argument.startswith(("-", "@")):
            continue
        for prefix, product in JAVA_PRODUCTS:
            if argument.startswith(prefix):
                return product
        return argument.rpartition(".")[2] if _JAVA_CLASS.fullmatch(argument) else argument or None
    return None
