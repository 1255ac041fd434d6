"""What a schedule's rule says: read and checked where it is declared, without a clock and without a calendar library.

    rule       = either ["except" exceptions]
    either     = single {"or" single} | cron {"and" cron}, the second binding tighter
    single     = cron | "every 30s" | "every 2 weeks at 09:00 from 2026-01-05" | "at 2026-12-24 09:00, 2026-12-31 09:00"
    exceptions = (cron | dates | dates with times) {"or" exceptions}

A cron text has five fields (minute, hour, day of month, month, day of week) or six (second first), as `crontab(5)`
reads them: `0` and `7` are Sunday, `1` is Monday, and where both the day of month and the day of week are named, either
one is enough.
"""

from agentflow.tasks.rules.cron import Cron, Days
from agentflow.tasks.rules.dates import Dates, WholeDays
from agentflow.tasks.rules.intervals import CalendarInterval, Every
from agentflow.tasks.rules.reading import Rule, parse_rule

__all__ = ["CalendarInterval", "Cron", "Dates", "Days", "Every", "Rule", "WholeDays", "parse_rule"]
