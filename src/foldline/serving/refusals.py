"""Errors as answers: which status, which headers, and the one shape of body."""

from typing import Final

from foldline.errors import FoldlineError
from foldline.loops.messages import FaultAnswer
from foldline.serving.calls import Answer, answer
from foldline.serving.requests import fault_of

_STATUS: Final = {
    "http.unauthorized": 401,
    "http.forbidden": 403,
    "http.not_found": 404,
    "input.unknown_loop": 404,
    "input.unknown_experiment": 404,
    "http.method": 405,
    "http.slow": 408,
    "definition.conflict": 409,
    "http.gap": 409,
    "http.too_large": 413,
    "http.rate": 429,
    "http.overloaded": 503,
}
_BY_AREA: Final = {"http": 400, "input": 400, "definition": 400, "log": 503, "fold": 503, "install": 501}


def refusal(error: FoldlineError, status: int | None = None) -> Answer:
    """An error as an answer."""
    if status is None:
        status = _STATUS.get(error.code) or _BY_AREA.get(error.code.partition(".")[0], 500)
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", (error.expected or "").encode()))
    retry_after_s = getattr(error, "retry_after_s", None) or (1 if status == 503 else None)
    if status == 408:
        # Whatever still comes of the body is no request.
        headers.append((b"connection", b"close"))
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    return answer(FaultAnswer(fault_of(error)), status, *headers)
