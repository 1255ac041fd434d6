"""What an agent may call: typed functions, tasks, other agents, and what other programs offer."""
