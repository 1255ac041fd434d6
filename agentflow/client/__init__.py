"""What everyone outside a run holds: start runs, read them, decide, cancel.

The command line, the pages, the schedulers and users' own programs all go through `Client`; nothing else outside a
worker writes to the store.
"""

from agentflow.client.bulk import Bulk, BulkReport
from agentflow.client.deliveries import Deliveries
from agentflow.client.following import Following, Piece
from agentflow.client.listening import Listening
from agentflow.client.queues import Queues
from agentflow.client.reading import Reading
from agentflow.client.schedules import Schedules
from agentflow.client.standing import Standings
from agentflow.client.starting import BatchItem, NewTrigger, Starting
from agentflow.client.steering import UNCHANGED
from agentflow.client.subscriptions import Subscriptions
from agentflow.client.tokens import IDLE_SESSION, LONGEST_SESSION, Tokens
from agentflow.client.waits import Waits

__all__ = ["IDLE_SESSION", "LONGEST_SESSION", "UNCHANGED", "BatchItem", "BulkReport", "Client", "NewTrigger", "Piece"]


class Client(Starting, Following, Reading, Bulk, Standings, Queues, Waits, Listening):
    """Starts runs and steers them. `catalog` holds the tasks that may be started by name."""

    @property
    def schedules(self) -> Schedules:
        """What starts runs at its times: look at it and steer it."""
        return Schedules(self._store, self.catalog)

    @property
    def deliveries(self) -> Deliveries:
        """What webhooks received, and what became of it."""
        return Deliveries(self._store, self.catalog, self._misfit)

    @property
    def subscriptions(self) -> Subscriptions:
        """Who is told of what happens, and what is on its way to them."""
        return Subscriptions(self._store)

    @property
    def tokens(self) -> Tokens:
        """Who may call the API and sign in."""
        return Tokens(self._store)
