"""The inbox: pages and API over agentflow's client, served by any ASGI server.

`create_app` makes the application; `end_streams` closes its live streams before a server stops.
"""

from __future__ import annotations

from approvals_ui.app import create_app, end_streams

__all__ = ["create_app", "end_streams"]
