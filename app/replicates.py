"""Where replicates are worked on: this process's threads, or a cluster."""

from app.settings import Settings
from engine.plugins import LoadedPlugins
from engine.validation import ClusterMapper, Mapper, ThreadMapper


def mapper_for(settings: Settings) -> Mapper:
    """Return the cluster whose scheduler is named, else a pool of threads; to be closed.

    To be called once the plugins are loaded: a cluster's workers load them too.
    """
    if settings.scheduler is not None:
        return ClusterMapper(settings.scheduler, LoadedPlugins.here())
    return ThreadMapper(settings.threads)
