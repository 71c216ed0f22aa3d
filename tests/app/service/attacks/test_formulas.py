"""No table that leaves the server holds a formula, and no text of an import comes back."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.code import canonical_hash

Server = Any
FORMULAS = [
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")', "=1\n=2",
]  # fmt: skip


def hostile(kind: str) -> pa.Table:
    """Return a table as another program could have written it: formulas as names and cells."""
    names = pa.array(FORMULAS)
    cells = names.dictionary_encode() if kind == "dictionary" else names.cast(kind)
    columns = dict.fromkeys(FORMULAS, cells)
    return pa.table({"ts": list(range(len(FORMULAS))), **columns, 'a,"b': cells})


def check(text: bytes) -> None:
    """Assert that no cell of a CSV begins like a formula, and that none is lost."""
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert len(rows) == 1 + len(FORMULAS)
    for row in rows:
        assert len(row) == len(FORMULAS) + 2
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert [row[1] for row in rows[1:]] == [f"'{formula}" for formula in FORMULAS]
    assert rows[0][1:-1] == [f"'{formula}" for formula in FORMULAS]


@pytest.fixture
def run(server: Server) -> Any:
    """Return a completed run's directory."""
    return server.data_dir / "runs" / server.completed()["run_id"]


def put_in_place(folder: Path, table: pa.Table, **options: Any) -> None:
    """Replace a table and everything that the manifest says of it."""
    path = folder / "trades.parquet"
    path.chmod(0o600)
    pq.write_table(table, path, **options)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    [entry] = [entry for entry in manifest["files"] if entry["name"] == path.name]
    entry["size"] = path.stat().st_size
    entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    hashed = {k: v for k, v in manifest.items() if k not in {"environment", "manifest_hash"}}
    manifest["manifest_hash"] = canonical_hash(hashed)
    (folder / "manifest.json").chmod(0o600)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary", "string_view"])
def test_no_csv_holds_a_formula(
    server: Server, run: Path, studio: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """Neither a view nor an export has a cell or a heading that a spreadsheet would execute."""
    put_in_place(run, hostile(kind))
    answer = server.get(f"/runs/{run.name}/artifact/trades.csv")
    assert answer.status == 200
    check(answer.body)
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert answer.headers["Content-Type"].startswith("text/csv")
    out = tmp_path / "out.csv"
    assert studio("export", run, "trades", "--csv", "--out", out).code == 0
    check(out.read_bytes())


def test_formulas_in_a_file_of_candles(server: Server, studio: Callable[..., Any]) -> None:
    """Text beside the candles of an import is nowhere to be found afterwards."""
    rows = [f"2024-01-{1 + i:02},1,2,1,2,{f[:1]}canary" for i, f in enumerate(FORMULAS[:4])]
    text = "\n".join(["Date,Open,High,Low,Close,=canary", *rows, ""])
    answer = server.call("PUT", "/datasets/TEST/1d", text.encode(), {"Content-Type": "text/csv"})
    assert answer.status == 201
    run_id = server.post("/runs", {"symbol": "TEST", "plot": False}).json["run_id"]
    assert server.wait_for(run_id)["status"] == "completed"
    for entry in server.get(f"/runs/{run_id}/artifacts").json["files"]:
        name = entry["name"]
        views = [name.replace(".parquet", form) for form in (".parquet", ".csv", ".json")]
        for view in dict.fromkeys(views):
            answer = server.get(f"/runs/{run_id}/artifact/{view}")
            assert answer.status == 200
            assert b"canary" not in answer.body
        if name.endswith(".parquet"):
            exported = server.data_dir / f"{name}.csv"
            folder = server.data_dir / "runs" / run_id
            assert studio("export", folder, name, "--csv", "--out", exported).code == 0
            assert exported.read_bytes() == server.get(f"/runs/{run_id}/artifact/{views[1]}").body
            header = exported.read_bytes().splitlines()[0]
            assert not header.startswith((b"=", b"+", b"-", b"@"))
    assert b"canary" not in server.get("/datasets").body
