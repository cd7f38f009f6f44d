"""Clients of the HTTP service: calls, sync and async, and the edge client that decides by itself."""
