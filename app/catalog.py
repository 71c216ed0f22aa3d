"""What a client needs to know of this program to build forms and to speak of results in words."""

from typing import Any

from app.component_schemas import tidied
from app.metric_words import GROUPS, digits_of, is_signed
from app.quality import RULES
from engine.catalog import catalog
from engine.config import RunConfig
from engine.data import providers
from engine.metrics import REASONS as METRIC_REASONS
from engine.metrics.definitions import METRICS
from engine.validation import REASONS as TEST_REASONS


def whole_catalog() -> dict[str, Any]:
    """Return the components of ``engine.catalog``, and beside them what else forms and words need.

    ``config`` the JSON Schema of a configuration, in which components stand by name; ``metrics``
    what each figure of ``metrics.json`` is and how it is read; ``reasons`` why one of them, or one
    of a validation test, is not defined; ``row_findings`` what may be found in a file's rows.
    """
    return {
        **catalog(),
        "config": _config(),
        "metrics": _metrics(),
        "reasons": {"metrics": METRIC_REASONS, "validation": TEST_REASONS},
        "row_findings": RULES,
    }


def _config() -> dict[str, Any]:
    schema: dict[str, Any] = tidied(RunConfig.model_json_schema())
    schema["properties"]["provider"]["enum"] = sorted(providers)
    return schema


def _metrics() -> list[dict[str, Any]]:
    """Return them in the order and the groups in which they are read; of no group what is none."""
    groups = {name: title for title, names in GROUPS for name in names}
    ranks = {name: rank for rank, name in enumerate(groups)}
    return [
        {
            "name": name,
            "label": METRICS[name].label,
            "unit": METRICS[name].unit,
            "definition": METRICS[name].definition,
            "group": groups.get(name),
            "digits": digits_of(name),
            "signed": is_signed(name),
        }
        for name in sorted(METRICS, key=lambda name: ranks.get(name, len(ranks)))
    ]
