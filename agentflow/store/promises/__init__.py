"""The store's promises, by what they are about; `agentflow.store.base` puts them together."""
