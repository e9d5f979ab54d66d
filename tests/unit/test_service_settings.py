"""Settings of the service: environment, defaults, and the start that fails with the list of good values."""

from __future__ import annotations

from dataclasses import fields

import pytest

from kato_fast.service.settings import Settings, SettingsError, table


def test_defaults_are_katos() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.recall_threshold, settings.persistence, settings.max_pattern_length) == (0.1, 5, 0)
    assert (settings.stm_mode, settings.max_predictions, settings.sort_symbols) == ("CLEAR", 100, True)
    assert (settings.service_name, settings.session_ttl, settings.host) == ("kato", 3600, "127.0.0.1")


def test_the_environment_is_read_and_what_is_given_goes_first() -> None:
    env = {
        "RECALL_THRESHOLD": "0.25",
        "STM_MODE": "ROLLING",
        "SORT_SYMBOLS": "False",
        "KATO_FAST_PORT": "9",
        "PERSISTENCE": "",
    }
    settings = Settings.from_env(env, port=10, data_dir=None)
    assert (settings.recall_threshold, settings.stm_mode, settings.sort_symbols) == (0.25, "ROLLING", False)
    assert (settings.port, settings.persistence, settings.data_dir) == (10, 5, None)


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("STM_MODE", "rolling", "one of CLEAR, ROLLING"),
        ("RECALL_THRESHOLD", "1.5", "a number from 0 to 1"),
        ("RECALL_THRESHOLD", "nan", "a number from 0 to 1"),
        ("PERSISTENCE", "0", "a whole number from 1 to 100"),
        ("MAX_PREDICTIONS", "2.0", "a whole number from 1 to 10000"),
        ("SORT_SYMBOLS", "maybe", "one of true, 1, yes, on, false, 0, no, off"),
        ("SESSION_TTL", "9" * 5000, "a whole number from 60 to 86400"),
        ("KATO_FAST_PROFILE", "kato-1999", "one of kato-2025-09, kato-2025-09-indexed"),
        ("KATO_FAST_IMPL", "rust", "one of c, python"),
        ("SERVICE_NAME", "x" * 41, "printable text of 1 to 40 characters"),
    ],
)
def test_bad_values_name_the_variable_and_the_good_ones(variable: str, text: str, rule: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_env({variable: text, "KATO_FAST_PORT": "-1"})
    assert f"{variable} must be {rule}, not " in str(raised.value)
    assert "KATO_FAST_PORT must be a whole number from 0 to 65535, not '-1'" in str(raised.value)


def test_bad_values_from_python() -> None:
    with pytest.raises(SettingsError, match="persistence must be a whole number from 1 to 100, not True"):
        Settings(persistence=True)


def test_every_setting_is_in_the_table() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + len(fields(Settings))
    assert "| `KATO_FAST_MAX_BODY_BYTES` | `16777216` | a whole number from 1024 to 1073741824 |" in table()
