"""``/runs/{id}/belief``: what the validation tests of a run say, in words."""

from app.belief import told, verdict
from app.handlers.artifacts import ArtifactHandler
from app.report_files import MALFORMED, NOT_OURS, read_validation
from engine.errors import VerificationError


class Belief(ArtifactHandler):
    """The verdict, and a sentence or two on each test."""

    def get(self, run_id: str) -> None:
        """Send them, or that the client has them."""
        folder, run = self.services.runs.directory(run_id)
        raw, _ = self.manifest(run_id)
        try:
            found = read_validation(folder, run["manifest_hash"])
            said = [each._asdict() for each in told(found)]
            answer = {"verdict": verdict(found), "said": said}
        except MALFORMED as fault:
            raise VerificationError(NOT_OURS) from fault
        self.answer_unless_known(answer, self.etag_of_words(raw))
