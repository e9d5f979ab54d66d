"""The sessions of paths must be there."""

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse


class SessionMiddleware(BaseHTTPMiddleware):
    def __init__(self, app, auto_create=False):
        super().__init__(app)

    async def dispatch(self, request, call_next):
        from kato.services.kato_fastapi import app_state

        parts = request.url.path.split("/")
        session_id = parts[2] if len(parts) > 3 and parts[1] == "sessions" else None
        if session_id and not await app_state.session_manager.get_session(session_id):
            error = {
                "code": "SESSION_NOT_FOUND",
                "message": f"Session {session_id} not found or expired",
                "session_id": session_id,
            }
            return JSONResponse(status_code=404, content={"error": error})
        response = await call_next(request)
        if session_id:
            response.headers["X-Session-ID"] = session_id
        return response
