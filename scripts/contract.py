"""Write what is made from the table of operations and the models: contract, schemas, data model.

python -m scripts.contract            write them
python -m scripts.contract --check    say which are not up to date, and fail
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from app.contract import json_schema, openapi
from app.data_model import data_model

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
EXAMPLES = CONTRACTS / "examples.json"
SCHEMAS = {
    "event": (("Event", "Heartbeat"), "An event of a run, as one line of JSON"),
    "manifest": (("ArtifactManifest",), "manifest.json"),
    "summary": (("Summary",), "summary.json"),
    "metrics": (("Metrics",), "metrics.json"),
    "validation_summary": (("ValidationSummary",), "validation_summary.json"),
    "run_config": (("RunConfig",), "A run's configuration"),
}


class _Plain(yaml.SafeDumper):
    """Writes every value out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # yaml's
        """Never refer to an earlier place."""
        return True


def _text(dumper: _Plain, text: str) -> yaml.ScalarNode:
    """Write text of several lines as it reads."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)


def generated() -> dict[Path, str]:
    """Return the text of every generated file."""
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    document = openapi(examples)
    text = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    files = {CONTRACTS / "openapi.yaml": text, ROOT / "docs" / "data-model.md": data_model()}
    for name, (components, title) in SCHEMAS.items():
        schema = json.dumps(json_schema(components, title), ensure_ascii=False, indent=2)
        files[CONTRACTS / f"{name}.schema.json"] = schema + "\n"
    return files


def outdated() -> list[str]:
    """Return the files that are not what the code says."""
    return [
        str(path.relative_to(ROOT))
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where not equal")
    if not parser.parse_args().check:
        for path, text in generated().items():
            path.write_text(text, encoding="utf-8")
        return 0
    if names := outdated():
        print(f"Not up to date: {', '.join(names)}. Run: make contract", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
