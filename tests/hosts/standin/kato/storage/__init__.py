"""As in the host."""
