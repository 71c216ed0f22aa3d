"""``/runs/{id}/belief``: what the validation tests of a run say, in words."""

from app.handlers.artifacts import ArtifactHandler


class Belief(ArtifactHandler):
    """The verdict, and a sentence or two on each test."""

    async def get(self, run_id: str) -> None:
        """Send them, or that the client has them."""
        raw, _ = self.manifest(run_id)
        answer = await self.ask_of_files(run_id, lambda engine, *files: engine.belief(*files))
        self.answer_unless_known(answer, self.etag_of_words(raw))
