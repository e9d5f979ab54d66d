"""Genes of the user's session (section 8.6)."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service import genes, models
from kato_fast.service.body import object_of
from kato_fast.service.processors import gene
from kato_fast.service.routes import BODY, answers
from kato_fast.service.routes.sessions import check_size
from kato_fast.service.state import dumps, reply, service_of

router = APIRouter(tags=["genes"])


@router.get("/gene/{gene_name}", responses=answers(models.Gene, 404))
async def read_gene(request: Request, gene_name: str) -> Response:
    """One value: the session's if set, else the default."""
    service = service_of(request)
    known = genes.readable((await service.user_session(request)).config, service.settings)
    if gene_name not in known:
        raise HTTPException(404, f"Gene '{gene_name}' not found")
    return reply(dumps({"gene": gene_name, "value": known[gene_name]}))


@router.post("/genes/update", responses=answers(models.GenesUpdated, *BODY), openapi_extra=models.body(models.Genes))
async def update_genes(request: Request) -> Response:
    """Set values, given directly or under ``genes``: all of them or none, which is told with status 200."""
    service = service_of(request)
    data = await object_of(request)
    values = data.get("genes", data)
    session = await service.user_session(request)
    try:
        config = genes.updated(session.config, values)
    except genes.Invalid:
        return reply(b'{"status":"error","message":"Invalid gene values"}')
    check_size(config, ("body",), service.settings.max_metadata_bytes)
    await service.desk.set_config(session, config)
    processor = service.processors.running(session.user_id)
    if processor is not None:  # the mode reaches it at once, also a default; the others with the next request
        processor.genes["stm_mode"] = gene(config, "stm_mode", service.settings)
    return reply(dumps({"status": "okay", "message": "genes-updated", "genes": values}))
