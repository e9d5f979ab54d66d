"""One frozen description per KATO behaviour that must be matched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What a KATO generation does that another does not.

    name: as given to ``KnowledgeBase(profile=)``.
    indexed: search only the host's lossy candidate index instead of every pattern.
    """

    name: str
    indexed: bool


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("kato-2025-09", indexed=False),
        Profile("kato-2025-09-indexed", indexed=True),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; ValueError lists the known ones."""
    try:
        return PROFILES[name]
    except (KeyError, TypeError):
        known = ", ".join(PROFILES)
        raise ValueError(f"profile must be one of {known}, not {name!r}") from None
