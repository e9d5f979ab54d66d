"""Operations of a node."""

from fastapi import APIRouter, Request

router = APIRouter()


@router.get("/cognition-data")
async def get_cognition_data(request: Request):
    from kato.services.kato_fastapi import app_state

    processor = await app_state.processor_manager.get_processor(request.headers["x-node-id"])
    return {"cognition_data": {"predictions": processor.predictions}}
