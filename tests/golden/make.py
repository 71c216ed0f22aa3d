"""Write the hashes anew, after a change that moves them on purpose: say why in its commit."""

import json
import tempfile
from pathlib import Path

from cases import CASES, file_hashes

with tempfile.TemporaryDirectory() as scratch:
    hashes = {case: file_hashes(case, Path(scratch) / case) for case in CASES}
path = Path(__file__).with_name("hashes.json")
path.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
