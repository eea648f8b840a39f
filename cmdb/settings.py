"""What can be set from outside, read once at start from the environment: `CMDB_` and the setting's name in capitals.

Each setting has its default and its meaning here, and nowhere else; the reference page is generated from them. Lists are
comma-separated. Secrets are `SecretStr`, which no log and no error message shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_DATA_DIR = Path("data")
"""Where a service keeps its files when nobody says otherwise, seen from the folder it is started in."""


class Settings(BaseSettings):
    """Typed settings of a service process. Raises pydantic's ValidationError, which names setting and fault."""

    model_config = SettingsConfigDict(env_prefix="CMDB_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs TLS in front of it.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 lets the system choose.")
    data: Path = Field(
        DEFAULT_DATA_DIR,
        description="Folder for the private Neo4j and the first admin token. Its files hold secrets: mode 0600.",
    )
    neo4j_uri: str | None = Field(
        None,
        description="Address of a Neo4j server (`neo4j://`, `bolt://`, `+s` for TLS). Without it a private one is started.",
    )
    neo4j_user: str = Field("neo4j", description="User at that server.")
    neo4j_password: SecretStr = Field(SecretStr(""), description="Password at that server.")
    neo4j_database: str = Field("neo4j", description="Database at that server.")
    neo4j_heap: str = Field("512m", pattern=r"^[1-9]\d*[mMgG]$", description="Java heap of the private Neo4j.")
    store_deadline: float = Field(10.0, gt=0, le=300, description="Seconds that any call to Neo4j may take.")
    deadline: float = Field(
        30.0, gt=0, le=300, description="Seconds that a GraphQL operation may take before it is given up."
    )
    profile: Literal["production", "conformance"] = Field(
        "production",
        description="`conformance` allows GET and introspection for everybody, as GraphQL over HTTP's audits ask for.",
    )
    max_depth: int = Field(12, ge=1, le=50, description="Levels of fields a GraphQL operation may have.")
    max_cost: int = Field(10_000, ge=1, description="Items a GraphQL operation may touch, by estimate.")
    max_page: int = Field(100, ge=1, le=1_000, description="The largest `first` of a list.")
    graphql_body_limit: int = Field(262_144, ge=1_024, description="Bytes of a GraphQL request.")
    ingest_body_limit: int = Field(128 * 2**20, ge=1_024, description="Bytes of a report posted to /ingest, decompressed.")
    ingest_body_seconds: float = Field(300.0, gt=0, description="Seconds within which such a report must have arrived.")
    allowed_origins: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Origins, beside the service's own, whose pages may open a WebSocket."
    )
    metrics_public: bool = Field(
        False, description="Whether /metrics answers without a token; else it needs one with the role viewer."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least weight of a log line.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`: one object a line; `console`: for people; `auto`: by whether stderr is a terminal."
    )
    shutdown_seconds: float = Field(
        20.0, gt=0, le=300, description="Seconds that running requests get to end when the service is stopped."
    )

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
