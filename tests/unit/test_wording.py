"""Rules in words."""

from __future__ import annotations

import pytest

from agentflow.tasks.wording import rule_in_words

SAID = {
    "0 9 * * mon-fri": "at 09:00, Monday to Friday",
    "30 8,17 * * *": "at 08:30 and 17:30",
    "0 9 * * sat,sun": "at 09:00, Saturday and Sunday",
    "* * * * *": "every minute",
    "* * * * * *": "every second",
    "*/10 * * * * *": "every 10 seconds",
    "15 * * * *": "at minute 15 of every hour",
    "0 * * * *": "every hour",
    "*/15 * * * *": "every 15 minutes",
    "*/15 9-17 * * mon": "every 15 minutes of the hours 09 to 17, Monday",
    "5,7 * * * *": "at minutes 5 and 7 of every hour",
    "0 0 1 1 *": "at 00:00, on the 1st, in January",
    "0 0 1,15 * mon": "at 00:00, on the 1st and 15th or Monday",
    "0 9 1-7 * * and 0 9 * * mon": "at 09:00, on the 1st to 7th, Monday",
    "every 30s": "every 30 seconds",
    "every 1h": "every hour",
    "every 90m": "every 90 minutes",
    "every 2 weeks at 09:00 from 2026-01-05": "every 2 weeks on Monday at 09:00, from 2026-01-05 on",
    "every 3 days at 09:00 from 2026-01-05": "every 3 days at 09:00, from 2026-01-05 on",
    "every 3 months at 09:00 from 2026-01-05": "every 3 months on the 5th at 09:00, from 2026-01-05 on",
    "every year at 09:00 from 2026-01-05": "every year on January 5th at 09:00, from 2026-01-05 on",
    "at 2099-12-24 09:00, 2099-12-31 09:00": "at 2099-12-24 09:00 and 2099-12-31 09:00",
    "0 9 * * * except 2099-12-25, 2099-12-26": "at 09:00, except on 2099-12-25 and 2099-12-26",
    "0 9 * * mon or 0 12 * * fri": "at 09:00, Monday or at 12:00, Friday",
    "a rule of a later release": "a rule of a later release",
}


@pytest.mark.parametrize("rule", SAID)
def test_a_rule_is_said_in_words(rule: str) -> None:
    assert rule_in_words(rule) == SAID[rule]
