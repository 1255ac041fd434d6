"""The store on a PostgreSQL server, shared by any number of processes; it does all the coordination."""
