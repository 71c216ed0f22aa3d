"""``/runs/{id}/report``: everything about a run as one HTML file."""

from app.handlers.artifacts import ArtifactHandler
from engine.errors import VerificationError

HTML_TYPE = "text/html; charset=utf-8"


class Report(ArtifactHandler):
    """The report."""

    async def get(self, run_id: str) -> None:
        """Send it, or that the client has it."""
        folder, run = self.services.runs.directory(run_id)
        raw, _ = self.manifest(run_id)
        etag = self.etag_of_words(raw)
        if not self.matches(etag):
            manifest_hash = run["manifest_hash"]
            try:
                content = await self.services.engine.ask(
                    lambda backtests: backtests.report(folder, manifest_hash)
                )
            except VerificationError:
                self.services.runs.directory(run_id)  # where it has just been removed, that is why
                raise
            self.set_header("Content-Type", HTML_TYPE)
            self.set_header("Content-Disposition", f'attachment; filename="{run_id}.html"')
            self.write(content)
        else:
            self.set_status(304)
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
