"""What everyone outside a run holds: start runs, read them, decide, cancel.

The command line, the pages, the schedulers and users' own programs all go through `Client`; nothing else outside a
worker writes to the store.
"""

from agentflow.client.reading import Reading
from agentflow.client.starting import Starting
from agentflow.client.steering import UNCHANGED, Steering
from agentflow.client.triggers import Triggers

__all__ = ["UNCHANGED", "Client"]


class Client(Starting, Reading, Steering, Triggers):
    """Starts runs and steers them. `catalog` holds the tasks that may be started by name."""
