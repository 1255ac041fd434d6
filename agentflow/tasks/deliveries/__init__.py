"""What becomes of an authentic webhook request: what is kept of it, what it says, and whether it starts a run.

Nothing here verifies or stores anything; the endpoint and a redelivery by hand both come here.
"""

from __future__ import annotations

from agentflow.tasks.deliveries.judging import Delivered, judge
from agentflow.tasks.deliveries.keeping import body_of, text_of

__all__ = ["Delivered", "body_of", "judge", "text_of"]
