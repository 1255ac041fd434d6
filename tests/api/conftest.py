"""One served API for a module of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.site import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("api")) as site:
        yield site
