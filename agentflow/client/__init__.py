"""What everyone outside a run holds: start runs, read them, decide, cancel.

The command line, the pages, the schedulers and users' own programs all go through `Client`; nothing else outside a
worker writes to the store.
"""

from agentflow.client.bulk import Bulk, BulkReport
from agentflow.client.following import Following, Piece
from agentflow.client.queues import Queues
from agentflow.client.reading import Reading
from agentflow.client.standing import Standings
from agentflow.client.starting import Starting
from agentflow.client.steering import UNCHANGED
from agentflow.client.triggers import Triggers
from agentflow.client.waits import Waits

__all__ = ["UNCHANGED", "BulkReport", "Client", "Piece"]


class Client(Starting, Following, Reading, Bulk, Standings, Queues, Triggers, Waits):
    """Starts runs and steers them. `catalog` holds the tasks that may be started by name."""
