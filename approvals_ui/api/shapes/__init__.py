"""What the API sends and takes. Payloads are plain JSON, without the store's tags."""
