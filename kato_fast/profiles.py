"""One frozen description per KATO behaviour that must be matched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What a KATO generation does that another does not.

    name: as given to ``KnowledgeBase(profile=)``.
    indexed: search only the host's lossy candidate index instead of every pattern.
    generation: how it matches and what a prediction tells, ``2025-09`` or ``2.1``.
    """

    name: str
    indexed: bool
    generation: str = "2025-09"


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("kato-2025-09", indexed=False),
        Profile("kato-2025-09-indexed", indexed=True),
        Profile("kato-2.1", indexed=False, generation="2.1"),
        Profile("kato-2.1-indexed", indexed=True, generation="2.1"),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; ValueError lists the known ones."""
    try:
        return PROFILES[name]
    except (KeyError, TypeError):
        known = ", ".join(PROFILES)
        raise ValueError(f"profile must be one of {known}, not {name!r}") from None
