"""``/runs/{id}/report``: everything about a run as one HTML file."""

from app.handlers.artifacts import ArtifactHandler

HTML_TYPE = "text/html; charset=utf-8"


class Report(ArtifactHandler):
    """The report."""

    async def get(self, run_id: str) -> None:
        """Send it, or that the client has it."""
        raw, _ = self.manifest(run_id)
        etag = self.etag_of_words(raw)
        if not self.matches(etag):
            content = await self.ask_of_files(run_id, lambda engine, *files: engine.report(*files))
            self.set_header("Content-Type", HTML_TYPE)
            self.set_header("Content-Disposition", f'attachment; filename="{run_id}.html"')
            self.write(content)
        else:
            self.set_status(304)
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
