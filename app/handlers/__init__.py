"""One thin file a resource: from a request to a call of the service, and back."""
