"""Where a command's replicates are worked on."""

from app.settings import Settings
from engine.validation import ClusterMapper, Mapper, ThreadMapper


def mapper_for(settings: Settings) -> Mapper:
    """Return the cluster whose scheduler is named, else a pool of threads; to be closed."""
    if settings.scheduler is not None:
        return ClusterMapper(settings.scheduler)
    return ThreadMapper(settings.threads)
