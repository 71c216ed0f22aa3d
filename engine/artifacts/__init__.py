"""Artifacts: a run as files that can be verified."""

from engine.artifacts.manifest import FileCheck, Verification, read_manifest, verify
from engine.artifacts.publishing import Place, inspect_place, publish
from engine.artifacts.summary import metrics_document, summary_document, validation_document

__all__ = [
    "FileCheck",
    "Place",
    "Verification",
    "inspect_place",
    "metrics_document",
    "publish",
    "read_manifest",
    "summary_document",
    "validation_document",
    "verify",
]
