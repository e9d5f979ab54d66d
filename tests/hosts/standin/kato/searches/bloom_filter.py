"""In the host a filter that filters nothing."""
