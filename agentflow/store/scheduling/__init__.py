"""Schedules: their rows, which say when each fires next, and their occurrences, each of which starts one run at most.

A time of a schedule is settled in one transaction: with its row held, whether it is still to be dealt with is judged,
its occurrence is written under a primary key of schedule and time, its run is made, and the schedule goes on. Lock
order, always: the runs that are to end, then the schedule, then its backfill.
"""
