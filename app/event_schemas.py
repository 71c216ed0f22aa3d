"""The events of a run, as models: what a frame's ``data`` holds, by its type."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from app.schemas import RunCode
from app.wire import Attempt, Ms, Progress, RunId, Sha256, Stage, Wire

Message = Annotated[str, Field(description="a plain sentence for a person")]


class Envelope(Wire):
    """What every stored event has."""

    run_id: RunId
    seq: int = Field(ge=1, description="without a gap from 1, through all attempts; the frame's id")
    ts: Ms
    attempt: Attempt


class Queued(Envelope):
    """The run waits for a worker."""

    type: Literal["queued"]


class StageBegins(Envelope):
    """One of the eight stages begins; each attempt that completes goes through all of them."""

    type: Literal["stage"]
    stage: Stage
    progress: Progress


class ProgressMade(Envelope):
    """How far the run has come."""

    type: Literal["progress"]
    stage: Stage
    progress: Progress


class ReplicatesDone(Wire):
    """How far a validation test has come."""

    test: str = Field(description="its name in the configuration")
    completed: int = Field(description="replicates, or folds of a walk-forward")
    total: int


class ValidationProgress(Envelope):
    """How far a validation test has come."""

    type: Literal["validation_progress"]
    stage: Stage
    progress: Progress
    data: ReplicatesDone


class WarningNote(Wire):
    """Which warning, and how often."""

    code: str = Field(description="as in summary.json")
    count: int = Field(0, description="left out where it says nothing")


class Warned(Envelope):
    """Something to know about the run."""

    type: Literal["warning"]
    stage: Stage
    message: Message
    data: WarningNote


class ManifestPointer(Wire):
    """What the run has come to."""

    manifest_hash: Sha256


class Completed(Envelope):
    """The run has ended well."""

    type: Literal["completed"]
    progress: Progress
    message: Message = Field("", description="where it was taken in from its directory")
    data: ManifestPointer


class FailureCode(Wire):
    """The code of the failure."""

    code: RunCode


class Failed(Envelope):
    """The run has ended with an error."""

    type: Literal["failed"]
    message: Message
    data: FailureCode


class Cancelled(Envelope):
    """The run was cancelled."""

    type: Literal["cancelled"]


class RequeueReason(Wire):
    """Why the run begins anew."""

    reason: Literal["crash", "stop"] = Field(description="whether the program was told to stop")


class Requeued(Envelope):
    """The program ended before the run did: it waits again, as the next attempt."""

    type: Literal["requeued"]
    data: RequeueReason


class Event(
    RootModel[
        Annotated[
            Queued
            | StageBegins
            | ProgressMade
            | ValidationProgress
            | Warned
            | Completed
            | Failed
            | Cancelled
            | Requeued,
            Field(discriminator="type"),
        ]
    ]
):
    """A stored event, as one line of JSON."""


class Heartbeat(Wire):
    """A sign of life on a silent stream; never stored, without an id."""

    run_id: RunId
    seq: int = Field(ge=0, description="of the last event that was sent")
    ts: Ms
    type: Literal["heartbeat"]
