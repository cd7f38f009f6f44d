"""Static files: read once, named by their content, compressed once, cached by browsers for ever."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import matches, not_modified

_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file.

    Attributes:
        content: as it stands.
        packed: with gzip.
        media_type: of the content.
        digest: 16 hex digits of the SHA-256 of the content.
    """

    content: bytes
    packed: bytes
    media_type: str
    digest: str


class Assets:
    """The files of the folder `static`, by their path in it."""

    def __init__(self) -> None:
        self._files: dict[str, Asset] = {}
        self._take(files("foldline.dashboard") / "static", "")

    def path(self, name: str) -> str:
        """Where a page finds the file: with its digest, so that a changed file is another one."""
        return f"/static/{name}?v={self._files[name].digest}"

    async def serve(self, request: Request) -> Response:
        """Answer a request for a file."""
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return Response("no such file", 404, media_type="text/plain")
        etag = f'"{asset.digest}"'
        headers = {
            "etag": etag,
            "cache-control": _FOR_EVER if request.query_params.get("v") == asset.digest else "no-cache",
            "vary": "accept-encoding",
        }
        if matches(request, etag):
            return not_modified(headers)
        content = asset.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = asset.packed, "gzip"
        return Response(content, headers=headers, media_type=asset.media_type)

    def _take(self, folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                self._take(entry, f"{prefix}{entry.name}/")
                continue
            content = entry.read_bytes()
            suffix = "." + entry.name.rpartition(".")[2]
            media_type = (
                _TYPES.get(suffix) or mimetypes.guess_type(entry.name)[0] or "text/plain; charset=utf-8"
            )
            digest = hashlib.sha256(content).hexdigest()[:16]
            packed = gzip.compress(content, mtime=0)
            self._files[prefix + entry.name] = Asset(content, packed, media_type, digest)
