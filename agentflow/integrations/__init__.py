"""Other people's programs and packages, each in a module of its own that needs its extra to be installed."""
