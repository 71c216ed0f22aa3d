"""What the models of answers and artifacts share: no unknown fields, and the types in them."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from app.transitions import STATUSES
from engine.records import STAGES


class Wire(BaseModel):
    """What is sent: every field is there, and no other."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


def words(*known: str) -> Any:
    """Return what says in a schema that a text is one of these words."""
    return Field(json_schema_extra={"enum": list(known)})


# What a field that may lack is where it does; null it never is.
ABSENT: Any = None
Ms = Annotated[int, Field(description="UTC epoch milliseconds")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{20}$", description="first digits of the hash")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Status = Annotated[str, words(*STATUSES)]
Attempt = Annotated[int, Field(ge=1, description="1, and one more each time it begins anew")]
Stage = Annotated[str, words(*STAGES)]
Progress = Annotated[float, Field(ge=0, le=1, description="of the whole run")]
CodeVersion = Annotated[
    str, Field(description="program version + digest of the engine's sources and libraries")
]
