"""Tools that are HTTP calls: declared by hand, or of an OpenAPI document.

`http_tool` and `openapi_tools` make them; `bearer`, `basic` and `api_key` say what lets a call in.
"""

from agentflow.agents.http.credentials import Credential, api_key, basic, bearer
from agentflow.agents.http.declared import http_tool
from agentflow.agents.http.openapi import openapi_tools

__all__ = ["Credential", "api_key", "basic", "bearer", "http_tool", "openapi_tools"]
