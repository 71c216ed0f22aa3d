"""What the service answers, as models: the components of the contract, under their names there.

They say what is sent; nothing on the way of a request needs them. All times are UTC epoch ms.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.api_errors import IN_A_RUN, STATUS
from app.artifact_schemas import MetricsSummary, ValidationFigures
from app.wire import CodeVersion, Ms, Progress, RunId, Sha256, Stage, Status, Wire, words
from engine.config import RunConfig


class FieldFault(Wire):
    """One fault of a request."""

    field: str = Field(description="dotted, such as strategy.params.fast; empty for the whole")
    message: str


class ErrorDetails(Wire):
    """More about an error; only what applies is there."""

    errors: list[FieldFault] | None = Field(
        None, description="every fault that was found", json_schema_extra={"type": "array"}
    )
    incident: str | None = Field(
        None, description="where the log says more", json_schema_extra={"type": "string"}
    )


class ErrorBody(Wire):
    """What went wrong."""

    code: Annotated[str, words(*STATUS)]
    message: str = Field(description="a plain sentence for a person")
    details: ErrorDetails | None = None
    retryable: bool = Field(description="whether the same request may succeed later")


class Error(Wire):
    """Every answer that is an error."""

    error: ErrorBody


class Health(Wire):
    """The server is there."""

    status: Literal["ok"]
    version: str
    code_version: CodeVersion
    instance_id: str = Field(description="another one after each start")
    kernel: Literal["compiled", "interpreted"]


class CatalogEntry(Wire):
    """A component that a configuration can name."""

    name: str
    description: str
    params: dict[str, Any] = Field(description="JSON Schema of the parameters")
    defaults: dict[str, JsonValue] = Field(description="what holds where none are given")


class Catalog(Wire):
    """Everything that a configuration can name, a plugin's components included."""

    indicators: list[CatalogEntry]
    strategies: list[CatalogEntry]
    sizing: list[CatalogEntry]
    slippage: list[CatalogEntry]
    validation: list[CatalogEntry]


class ImportQuality(Wire):
    """What was found in the rows of a file."""

    rows_in: int = Field(ge=0)
    rows_out: int = Field(ge=0)
    counts: dict[str, int] = Field(description="rows by rule")
    first_rows: dict[str, list[int]] = Field(description="the first few of each")


class Dataset(Wire):
    """A data set that can be run on, or the problem that keeps it from being."""

    provider: str
    symbol: str
    timeframe: str
    first_ts: Ms | None
    last_ts: Ms | None
    bars: int | None
    volume_known: bool | None
    calendar: str | None
    quality: ImportQuality | None
    problem: str | None


class DatasetList(Wire):
    """Every data set, the user's own first."""

    datasets: list[Dataset]


class Candles(Wire):
    """Bars in columns of equal length, oldest first."""

    ts: list[Ms] = Field(description="open times")
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float] | None = Field(description="null where it is not known")
    truncated: bool = Field(description="whether the range has more bars than were sent")


class Features(Candles):
    """Bars and a further column for each series of the indicators.

    Its values are those a strategy sees at the bar: shifted by one, null in the warm-up.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[float | None]]


class CreatedRun(Wire):
    """The run that a request made or found."""

    run_id: RunId
    hash: Sha256
    status: Status
    attempt: int = Field(ge=1)
    reused: bool = Field(description="whether it was there already")


RunCode = Annotated[str, words(*sorted(set(IN_A_RUN.values())))]


class RunError(Wire):
    """Why a run failed."""

    code: RunCode
    message: str


class RunRow(Wire):
    """A run as a list shows it."""

    run_id: RunId
    hash: Sha256
    status: Status
    stage: Stage | None
    progress: Progress
    attempt: int = Field(ge=1)
    symbol: str
    queued_ts: Ms
    started_ts: Ms | None
    finished_ts: Ms | None
    error: RunError | None
    metrics: MetricsSummary | None
    validation: ValidationFigures | None
    candle_digest: Sha256
    code_version: CodeVersion
    manifest_hash: Sha256 | None


class RunDetail(RunRow):
    """A run with its configuration, every default written out."""

    config: RunConfig


class RunList(Wire):
    """A page of runs, newest first."""

    runs: list[RunRow]
    next_cursor: str | None = Field(description="for the next page; null on the last one")


class CancelledRun(Wire):
    """What a request to cancel has led to."""

    run_id: RunId
    status: Literal["cancelling", "cancelled"]


class FileVerdict(Wire):
    """Whether a file is what the manifest says."""

    name: str
    ok: bool
    reason: str | None


class Verification(Wire):
    """What a run's directory looks like beside its manifest."""

    ok: bool
    manifest_ok: bool
    files: list[FileVerdict]


class StoredPreset(Wire):
    """A preset as it was kept."""

    name: str
    config: "PresetConfig"


class Preset(StoredPreset):
    """A preset and when it was last stored."""

    updated_ts: Ms


class PresetList(Wire):
    """Every preset, by name."""

    presets: list[Preset]


class PresetConfig(BaseModel):
    """Any part of a RunConfig."""


class PresetRequest(Wire):
    """A part of a configuration and the name to keep it under."""

    name: str = Field(json_schema_extra={"format": "portable-name"})
    config: PresetConfig
