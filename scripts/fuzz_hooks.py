"""What schemathesis has to know of Studio: text of our formats, files, and refusals that are meant."""

import json
import os
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

RUNS = json.loads(os.environ["STUDIO_FUZZ_RUNS"])
PORTABLE = r"\A[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?\Z"
SYMBOL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
HEADER = b"date,open,high,low,close,volume\n"
FILES = st.lists(st.integers(1, 9_999), min_size=1, max_size=30, unique=True).map(
    lambda days: (
        HEADER
        + b"".join(
            b"%d-01-02,10,12,9,11,%d\n" % (1900 + day % 120, day)
            for day in sorted({d % 120 for d in days})
        )
    )
)
NAMES = (
    "config.json",
    "metrics.json",
    "manifest.json",
    "equity.parquet",
    "equity.csv",
    "trades.json",
    "plot.png",
    "features.csv",
)

schemathesis.openapi.format("portable-name", st.from_regex(PORTABLE))
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]))
schemathesis.openapi.format("strftime", st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"]))
schemathesis.openapi.format("cursor", st.sampled_from(["WzEsIjAwMDAwMDAwMDAwMDAwMDAwMDAwIl0"]))
schemathesis.openapi.format("artifact-name", st.sampled_from(NAMES))
for kind in ("text/csv", "application/vnd.apache.parquet", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, FILES)
