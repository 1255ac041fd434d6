"""What webhooks receive: deliveries, each with the one run its id starts."""
