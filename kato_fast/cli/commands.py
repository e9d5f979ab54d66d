"""Every command of ``kato-fast``: (name, help, function), in the order of the list."""

from __future__ import annotations

from kato_fast.cli import (
    bench,
    canary,
    doctor,
    explain,
    explain_queries,
    exporter,
    flags,
    kill,
    learn,
    predict,
    replay,
    run,
    serve,
    shadow,
    snapshot,
    status,
    top,
    verify_store,
)

ABOUT = "KATO's answers, digit for digit, from an engine in C.\n\nExample:\n\n    kato-fast serve --demo"

COMMANDS = (
    ("serve", serve.HELP, serve.serve),
    ("learn", learn.HELP, learn.learn),
    ("predict", predict.HELP, predict.predict),
    ("snapshot", snapshot.HELP, snapshot.snapshot),
    ("run", run.HELP, run.run),
    ("doctor", doctor.HELP, doctor.doctor),
    ("status", status.HELP, status.status),
    ("verify-store", verify_store.HELP, verify_store.verify_store),
    ("explain-queries", explain_queries.HELP, explain_queries.explain_queries),
    ("flags", flags.HELP, flags.flags),
    ("kill", kill.HELP, kill.kill),
    ("explain", explain.HELP, explain.explain),
    ("canary", canary.HELP, canary.canary),
    ("shadow", shadow.HELP, shadow.shadow),
    ("replay", replay.HELP, replay.replay),
    ("exporter", exporter.HELP, exporter.exporter),
    ("top", top.HELP, top.top),
    ("bench", bench.HELP, bench.bench),
)
