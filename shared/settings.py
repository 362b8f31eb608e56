"""One frozen Settings, read once from the environment. Unset servers are None: `vibeinsight up` fills them in."""

from functools import cache
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _also(name: str, *others: str) -> AliasChoices:
    """The names that platforms set, beside our own VIBEINSIGHT_ name."""
    return AliasChoices(f"VIBEINSIGHT_{name.upper()}", *others)


class ProviderLimits(BaseModel):
    """Of one provider, shared by all workers. Well inside a new account's own limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int = Field(300, ge=1)
    tokens_per_minute: int = Field(200_000, ge=1)
    at_once: int = Field(16, ge=1)


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
    s3_public_endpoint_url: str | None = None  # in signed addresses, where callers reach the store by another name
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
    diarizer: str = "onnx"  # or "pyannote", which is installed by whoever wants it
    pyannote_model: str = "pyannote/speaker-diarization-community-1"  # or a folder
    emotion_model: Path | None = None  # a folder with model.onnx and emotion.json; None: words and prosody alone
    huggingface_token: SecretStr | None = Field(None, validation_alias=_also("huggingface_token", "HF_TOKEN"))

    # ---- providers' limits and money (docs/limits.md)
    provider_limits: dict[str, ProviderLimits] = {}  # by provider, as JSON: {"openai": {"requests_per_minute": 500}}
    prices_file: Path | None = None  # further or newer prices, in the form of shared/guard/prices.json
    provider_patience_s: float = 6 * 3600.0  # from a job's start; a provider away for longer uses up attempts
    job_budget_usd: float = 5.0  # of providers' bills: five times what our longest recording costs
    owner_day_budget_usd: float = 50.0
    owner_month_budget_usd: float = 500.0

    # ---- patience with clients
    head_wait_s: float = 10.0  # for the head of a request; a browser sends it in one packet
    body_wait_s: float = 20.0  # for a body to begin; then it must come at 4 KB a second (api/pace.py)

    # ---- requests a minute, in units (a plain read is one; api/limits.py weighs the others)
    rate_limit_per_minute: int = 1_200  # of one key or user; 0: no limits at all
    address_rate_limit_per_minute: int = 600  # of one address, for requests that show no key that is known to be good
    client_address_header: str | None = None  # where a trusted proxy writes the client's address, such as Fly-Client-IP

    # ---- the Realtime channel (docs/realtime.md), of one API process
    realtime_sockets: int = Field(800, ge=1)  # below 100 kB each; a common cap is 1,024 open files
    realtime_sockets_per_owner: int = Field(100, ge=1)  # pages of one owner open at once

    # ---- what an owner may use, unless their row in owner_limits says otherwise
    open_jobs: int = 2_000  # waiting and under way
    waiting_jobs: int = 1_500  # not begun
    audio_minutes_day: float = 6_000.0  # 100 hours
    audio_minutes_month: float = 60_000.0
    upload_bytes_day: int = 200 * 1024**3

    # ---- when submitting is refused because too much waits to begin
    busy_jobs: int = 20_000
    busy_wait_s: float = 3_600.0  # for the first in the line
    busy_bulk_share: float = 0.5  # of both, for bulk work

    # ---- coaching analysis by a language model (docs/analysis-model.md)
    language_model: str = "none"  # rules alone; or "gemini", or "openai" for any endpoint of that kind (vLLM)
    language_model_name: str | None = None  # as its provider calls it; models come and go, so none is preset
    language_model_base_url: str | None = None  # None: the provider's own
    language_model_key: SecretStr | None = None  # None: GEMINI_API_KEY or OPENAI_API_KEY; a local server needs none
    gemini_api_key: SecretStr | None = Field(None, validation_alias=_also("gemini_api_key", "GEMINI_API_KEY"))
    language_model_schema: str = "native"  # "instructed" for a server that cannot hold an answer to a JSON schema
    language_model_temperature: float | None = 0.0  # None: not sent, for models that take none
    language_model_seed: int | None = 1  # None: not sent
    language_model_thinking_tokens: int | None = None  # Gemini's thinking budget; None: the model decides
    language_model_timeout_s: float = 100.0  # one answer; two of them, one after the other, fit below the soft limit
    language_model_at_once: int = 6  # questions of one job under way: an hour is answered in one wave
    language_model_context_tokens: int = 128_000  # question and answer together
    analysis_token_budget: int = 400_000  # a job's; three times what 2.5 hours take
    analysis_usd_budget: float = 1.0  # a job's analysis, by the price list; `job_budget_usd` holds beside it

    # ---- users of Supabase (docs/security.md); without either of the first two, API keys alone are taken
    supabase_url: str | None = Field(None, validation_alias=_also("supabase_url", "SUPABASE_URL"))
    supabase_jwt_secret: SecretStr | None = Field(
        None, validation_alias=_also("supabase_jwt_secret", "SUPABASE_JWT_SECRET")
    )
    supabase_jwks_url: str | None = None  # None: where `supabase_url` has it
    jwt_issuer: str | None = None  # None: `supabase_url`/auth/v1
    jwt_audience: str = "authenticated"
    jwt_leeway_s: float = 10.0  # two clocks kept by NTP differ by less

    # ---- what is said of ourselves
    log_level: str = "info"
    public_url: str = "http://127.0.0.1:8080"  # where a browser reaches the API
    allowed_hosts: tuple[str, ...] = ()  # names the API answers to; empty: any. Health checks always may ask
    cors_origins: tuple[str, ...] = ()  # whose pages may call the API from a browser; none unless named
    api_url: str | None = None  # which API the command line talks to; None: the one that runs on `data_dir`
    api_key: SecretStr | None = None  # with this key
    metrics_port: int | None = None  # a worker's own health and metrics; None: not served
    metrics_host: str = "127.0.0.1"  # 0.0.0.0 where a platform asks from outside: they hold nothing but numbers
    idle_beside_work_s: float = 120.0  # a worker that claims nothing of its own due work for this long is not well


@cache
def load_settings() -> Settings:
    return Settings()
