"""``/runs/{id}/belief``: what the validation tests of a run say, in words."""

from app.handlers.artifacts import ArtifactHandler
from engine.errors import VerificationError


class Belief(ArtifactHandler):
    """The verdict, and a sentence or two on each test."""

    async def get(self, run_id: str) -> None:
        """Send them, or that the client has them."""
        folder, run = self.services.runs.directory(run_id)
        raw, _ = self.manifest(run_id)
        manifest_hash = run["manifest_hash"]
        try:
            answer = await self.services.engine.ask(
                lambda backtests: backtests.belief(folder, manifest_hash)
            )
        except VerificationError:
            self.services.runs.directory(run_id)  # where it has just been removed, that is why
            raise
        self.answer_unless_known(answer, self.etag_of_words(raw))
