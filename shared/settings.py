"""One frozen Settings, read once from the environment. Unset servers are None: `vibeinsight up` fills them in."""

from functools import cache
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _also(name: str, *others: str) -> AliasChoices:
    """The names that platforms set, beside our own VIBEINSIGHT_ name."""
    return AliasChoices(f"VIBEINSIGHT_{name.upper()}", *others)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="VIBEINSIGHT_", frozen=True, extra="ignore", populate_by_name=True)

    # ---- servers
    database_url: SecretStr | None = Field(None, validation_alias=_also("database_url", "DATABASE_URL"))
    redis_url: SecretStr | None = Field(None, validation_alias=_also("redis_url", "REDIS_URL"))
    s3_endpoint_url: str | None = Field(
        None, validation_alias=_also("s3_endpoint_url", "S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    )
    s3_region: str = Field("us-east-1", validation_alias=_also("s3_region", "AWS_REGION"))
    s3_access_key: SecretStr | None = Field(None, validation_alias=_also("s3_access_key", "AWS_ACCESS_KEY_ID"))
    s3_secret_key: SecretStr | None = Field(None, validation_alias=_also("s3_secret_key", "AWS_SECRET_ACCESS_KEY"))
    s3_bucket: str = Field("vibeinsight", validation_alias=_also("s3_bucket", "BUCKET_NAME"))
    s3_addressing_style: str = "path"  # "virtual" for Tigris
    data_dir: Path = Path(".data")  # the embedded stack's data, logs and key
    model_cache: Path = Path(".cache/models")  # joined and converted weights

    # ---- limits of what we take in
    max_upload_bytes: int = 2 * 1024**3  # 3 h of 16-bit stereo at 48 kHz is 2.07e9
    max_duration_s: float = 2.5 * 3600.0  # longest 1-on-1 or workshop session we promise a report for
    min_duration_s: float = 0.5  # less holds no word
    presign_expires_s: int = 900  # an upload started within 15 minutes
    fetch_timeout_s: float = 10.0  # one connect or one silence while reading
    fetch_total_s: float = 200.0  # the whole download stays below the 240 s soft limit
    fetch_allow_hosts: tuple[str, ...] = ()  # host[:port] that may be fetched although private; for tests and intranets
    decode_timeout_s: float = 220.0  # below the soft limit, so that ffmpeg is ended by us

    # ---- the engine
    lease_s: float = 20.0  # four missed beats
    beat_s: float = 5.0  # renewal, and how late a cancel may be seen
    steward_interval_s: float = 1.0
    rering_s: float = 30.0  # a ring without a claim for this long is taken as lost
    retry_base_s: float = 5.0  # before the second attempt; then three times as long each time, up to 10 minutes
    soft_limit_s: int = 240  # Fly kills after 300
    hard_limit_s: int = 270
    transcribe_processes: int = 2  # one per core: 2 processes of 1 thread beat 1 of 2 by a quarter
    engine_threads: int = 1  # threads of one inference

    # ---- models
    transcriber: str = "faster-whisper"  # or "openai"
    whisper_model: str = "base"  # "base" from the wheels, a CTranslate2 folder, or a hub name
    whisper_beam_size: int = 8  # 0.5 points of word errors fewer than 5, for a fifth more decoding
    openai_api_key: SecretStr | None = Field(None, validation_alias=_also("openai_api_key", "OPENAI_API_KEY"))
    openai_base_url: str | None = Field(None, validation_alias=_also("openai_base_url", "OPENAI_BASE_URL"))
    openai_transcribe_model: str = "whisper-1"

    # ---- what is said of ourselves
    log_level: str = "info"
    public_url: str = "http://127.0.0.1:8080"  # where a browser reaches the API
    cors_origins: tuple[str, ...] = ()  # whose pages may call the API from a browser; none unless named
    api_url: str | None = None  # which API the command line talks to; None: the one that runs on `data_dir`
    api_key: SecretStr | None = None  # with this key
    metrics_port: int | None = None  # a worker's own health and metrics; None: not served


@cache
def load_settings() -> Settings:
    return Settings()
