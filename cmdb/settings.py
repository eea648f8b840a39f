"""Every setting of the service, typed, read from the environment once, at start. Each is `CMDB_` plus its name."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_data_directory() -> Path:
    """Where data lies if nothing is said: the user's data folder of the platform."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "cmdb"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cmdb"


class Settings(BaseSettings):
    """The settings; `docs/reference/settings.md` is generated from here."""

    model_config = SettingsConfigDict(env_prefix="CMDB_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the service listens at.")
    port: int = Field(8000, ge=0, le=65_535, description="Port the service listens at; 0 takes a free one.")
    data: Path = Field(
        default_factory=default_data_directory,
        description="Directory of the private Neo4j, the first admin token, and the topology's snapshot.",
    )
    neo4j_uri: str = Field(
        "",
        description="A Neo4j server to use (bolt, neo4j, bolt+s or neo4j+s). Empty: a private one is started.",
    )
    neo4j_user: str = Field("neo4j", description="User at that server.")
    neo4j_password: SecretStr = Field(SecretStr(""), description="Password at that server.")
    neo4j_password_file: Path | None = Field(
        None, description="File that holds the password instead, such as a secret mount."
    )
    neo4j_database: str = Field("neo4j", description="Database at that server.")
    neo4j_heap: str = Field("512m", description="Heap of the private Neo4j.")
    neo4j_deadline: float = Field(10.0, gt=0, description="Seconds any call to Neo4j may take.")
    graphql_profile: Literal["production", "conformance"] = Field(
        "production",
        description="conformance also answers GET and introspection to everybody, as the GraphQL over HTTP audits ask.",
    )
    allowed_origins: tuple[str, ...] = Field(
        (),
        description='Origins, beside our own, whose pages may open a WebSocket, as JSON: ["https://portal.example"].',
    )
    request_deadline: float = Field(10.0, gt=0, description="Seconds a GraphQL operation may take.")
    ingest_bytes: int = Field(268_435_456, gt=0, description="Largest body that /ingest takes, in bytes.")
    ingest_at_once: int = Field(
        2, gt=0, description="Reports worked on together; eight times as many wait or arrive, more get 429."
    )
    metrics_public: bool = Field(False, description="Whether /metrics answers without a token.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["json", "text"] = Field("json", description="json for machines, text for a terminal.")
    shutdown_seconds: float = Field(25.0, gt=0, description="How long a stop waits for running requests.")

    def password(self) -> str:
        """The password of the given Neo4j server, from its file or its setting."""
        if self.neo4j_password_file is not None:
            return self.neo4j_password_file.read_text(encoding="utf-8").strip()
        return self.neo4j_password.get_secret_value()
