"""The arguments of a call are written the same by the short way as by the long one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentflow.payloads import preview
from agentflow.runtime.operations.inputs import input_text

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)


@given(st.lists(SCALARS | st.lists(SCALARS, max_size=2), min_size=1, max_size=4))
def test_short_arguments_are_written_as_their_preview(args: list[Any]) -> None:
    assert input_text(tuple(args), {}) == json.dumps(preview(args), ensure_ascii=False)


def test_no_arguments_are_nothing() -> None:
    assert input_text((), {}) is None
