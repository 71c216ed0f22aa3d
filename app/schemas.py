"""What the service answers, as models: the components of the contract, under their names there.

They say what is sent; nothing on the way of a request needs them. All times are UTC epoch ms.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.api_errors import IN_A_RUN, MAX_LISTED, STATUS
from app.artifact_schemas import MetricsSummary, ValidationFigures
from app.contract_words import PORTABLE_NAME
from app.wire import (
    ABSENT,
    Attempt,
    CodeVersion,
    Ms,
    Progress,
    RunId,
    Sha256,
    Stage,
    Status,
    Wire,
    words,
)
from engine.config import RunConfig, Timeframe
from engine.metrics.definitions import Unit


class FieldFault(Wire):
    """One fault of a request."""

    field: str = Field(description="dotted, such as strategy.params.fast; empty for the whole")
    message: str = Field(description="a plain sentence for a person")


class ErrorDetails(Wire):
    """More about an error; only what applies is there."""

    errors: list[FieldFault] = Field(
        ABSENT, description=f"every fault that was found, the first {MAX_LISTED:,}"
    )
    incident: str = Field(ABSENT, description="under which the log says more")


class ErrorBody(Wire):
    """What went wrong."""

    code: Annotated[str, words(*STATUS)]
    message: str = Field(description="a plain sentence for a person")
    details: ErrorDetails = ABSENT
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

    name: str = Field(description="as a configuration says it")
    description: str = Field(description="one sentence")
    params: dict[str, Any] = Field(description="JSON Schema of the parameters")
    defaults: dict[str, JsonValue] = Field(description="what holds where none are given")


class CatalogMetric(Wire):
    """A figure of metrics.json: what it is, and how it is read."""

    name: str = Field(description="as in the file, with a dot: long.win_rate")
    label: str = Field(description="what a person calls it")
    unit: Unit = Field(description="as it is stored: a fraction of 0.1 is 10 %")
    definition: str = Field(description="one sentence with its formula and source")
    group: str | None = Field(description="under which heading; null is under none")
    digits: int = Field(ge=0, description="behind the point; of a fraction as a percentage")
    signed: bool = Field(description="whether a positive one is told with a plus")


class CatalogReasons(Wire):
    """Codes of reasons, in words."""

    metrics: dict[str, str] = Field(description="why a metric is null")
    validation: dict[str, str] = Field(description="why a figure of a validation test is null")


class Catalog(Wire):
    """Everything that a configuration can name, a plugin's components included."""

    indicators: list[CatalogEntry]
    strategies: list[CatalogEntry]
    sizing: list[CatalogEntry]
    slippage: list[CatalogEntry]
    validation: list[CatalogEntry]
    config: dict[str, Any] = Field(
        description="JSON Schema of a configuration; components stand in it by name"
    )
    metrics: list[CatalogMetric] = Field(description="in the order in which they are read")
    reasons: CatalogReasons
    row_findings: dict[str, str] = Field(
        description="what may be found in a file's rows, after its number: the keys of counts"
    )


class ImportQuality(Wire):
    """What was found in the rows of a file."""

    rows_in: int = Field(ge=0, description="in the file")
    rows_out: int = Field(ge=0, description="bars that were kept")
    counts: dict[str, int] = Field(description="rows by what was found; what was not is left out")
    first_rows: dict[str, list[int]] = Field(
        description="numbers of the first few of each, 1 under the header"
    )


class Dataset(Wire):
    """A data set that can be run on, or the problem that keeps it from being."""

    provider: str = Field(description="as a configuration names it")
    symbol: str = Field(
        description="as a configuration names it; the file's name where that is no data set's"
    )
    timeframe: str | None = Field(
        description="length of a bar; coarser ones are made from it; null as above"
    )
    first_ts: Ms | None = Field(description="null where there is a problem, as what follows")
    last_ts: Ms | None
    bars: int | None
    volume_known: bool | None
    calendar: str | None = Field(description="exchange whose sessions they follow, if one is named")
    quality: ImportQuality | None
    problem: str | None = Field(description="why it cannot be used; null where it can")


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
    attempt: Attempt
    reused: bool = Field(description="whether it was there already")


RunCode = Annotated[str, words(*sorted(set(IN_A_RUN.values())))]


class RunError(Wire):
    """Why a run failed."""

    code: RunCode
    message: str = Field(description="a plain sentence for a person")


class RunRow(Wire):
    """A run as a list shows it."""

    run_id: RunId
    hash: Sha256
    status: Status
    stage: Stage | None = Field(description="the last that began; null before the first")
    progress: Progress
    attempt: Attempt
    symbol: str = Field(description="that of its configuration")
    timeframe: Timeframe | None = Field(
        description="that of its configuration; null where what is stored of that is damaged"
    )
    strategy: str | None = Field(description="the name of that; null as the timeframe")
    queued_ts: Ms = Field(description="when the current attempt began to wait, UTC epoch ms")
    started_ts: Ms | None = Field(
        description="null before it begins, and where files were taken in"
    )
    finished_ts: Ms | None = Field(description="null until it has ended")
    error: RunError | None = Field(description="null unless it failed")
    metrics: MetricsSummary | None = Field(description="null until it has completed")
    validation: ValidationFigures | None = Field(
        description="null where no test has given a figure"
    )
    candle_digest: Sha256 = Field(description="SHA-256 of the bars it runs on")
    code_version: CodeVersion
    manifest_hash: Sha256 | None = Field(description="null until it has completed")


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
    status: Literal["cancelling", "cancelled"] = Field(
        description="cancelling while the work stops; the stream tells the end"
    )


class FileVerdict(Wire):
    """Whether a file is what the manifest says."""

    name: str
    ok: bool
    reason: str | None = Field(description="null where it is ok")


class Verification(Wire):
    """What a run's directory looks like beside its manifest."""

    ok: bool = Field(description="whether everything below is")
    manifest_ok: bool = Field(
        description="whether its own hashes agree, with the one that was stored as well"
    )
    files: list[FileVerdict]


class Sentence(Wire):
    """A sentence about what a validation test found."""

    label: str = Field(description="what it is about; empty where it goes on from the one before")
    test: str = Field(description="name of the test, as in the catalog")
    text: str


class Belief(Wire):
    """Whether to believe a run, in words."""

    verdict: str = Field(description="what luck and the Sharpe's interval say together")
    said: list[Sentence] = Field(description="of each of the engine's tests, in a fixed order")


class StoredPreset(Wire):
    """A preset as it was kept."""

    name: str = Field(json_schema_extra={"format": "portable-name"}, description=PORTABLE_NAME)
    config: "PresetConfig"


class Preset(StoredPreset):
    """A preset and when it was last stored."""

    updated_ts: Ms


class PresetList(Wire):
    """Every preset, by name."""

    presets: list[Preset]


class PresetConfig(BaseModel):
    """Any part of a RunConfig."""
