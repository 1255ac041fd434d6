"""Trove classifiers as SPDX identifiers. Several of them name a family of licences, which is no answer."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "License :: "

CANDIDATES: Final[dict[str, tuple[str, ...]]] = {
    "Academic Free License (AFL)": ("AFL-3.0", "AFL-2.1"),
    "Apache Software License": ("Apache-2.0", "Apache-1.1"),
    "Artistic License": ("Artistic-2.0", "Artistic-1.0"),
    "Boost Software License 1.0 (BSL-1.0)": ("BSL-1.0",),
    "BSD License": ("BSD-3-Clause", "BSD-2-Clause"),
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": ("CC0-1.0",),
    "Eclipse Public License 1.0 (EPL-1.0)": ("EPL-1.0",),
    "Eclipse Public License 2.0 (EPL-2.0)": ("EPL-2.0",),
    "European Union Public Licence 1.1 (EUPL 1.1)": ("EUPL-1.1",),
    "European Union Public Licence 1.2 (EUPL 1.2)": ("EUPL-1.2",),
    "GNU Affero General Public License v3": ("AGPL-3.0-only", "AGPL-3.0-or-later"),
    "GNU Affero General Public License v3 or later (AGPLv3+)": ("AGPL-3.0-or-later",),
    "GNU General Public License (GPL)": ("GPL-2.0-or-later", "GPL-3.0-or-later"),
    "GNU General Public License v2 (GPLv2)": ("GPL-2.0-only",),
    "GNU General Public License v2 or later (GPLv2+)": ("GPL-2.0-or-later",),
    "GNU General Public License v3 (GPLv3)": ("GPL-3.0-only",),
    "GNU General Public License v3 or later (GPLv3+)": ("GPL-3.0-or-later",),
    "GNU Lesser General Public License v2 (LGPLv2)": ("LGPL-2.0-only",),
    "GNU Lesser General Public License v2 or later (LGPLv2+)": ("LGPL-2.0-or-later",),
    "GNU Lesser General Public License v3 (LGPLv3)": ("LGPL-3.0-only",),
    "GNU Lesser General Public License v3 or later (LGPLv3+)": ("LGPL-3.0-or-later",),
    "GNU Library or Lesser General Public License (LGPL)": ("LGPL-2.1-or-later", "LGPL-3.0-or-later"),
    "Historical Permission Notice and Disclaimer (HPND)": ("HPND",),
    "ISC License (ISCL)": ("ISC",),
    "MIT License": ("MIT",),
    "MIT No Attribution License (MIT-0)": ("MIT-0",),
    "Mozilla Public License 1.1 (MPL 1.1)": ("MPL-1.1",),
    "Mozilla Public License 2.0 (MPL 2.0)": ("MPL-2.0",),
    "PostgreSQL License": ("PostgreSQL",),
    "Python Software Foundation License": ("PSF-2.0", "Python-2.0"),
    "The Unlicense (Unlicense)": ("Unlicense",),
    "Universal Permissive License (UPL)": ("UPL-1.0",),
    "Zope Public License": ("ZPL-2.1", "ZPL-2.0"),
    "zlib/libpng License": ("Zlib",),
}


def licence_names(classifiers: list[str]) -> list[str]:
    """The last parts of the classifiers that speak of a licence, without those that name none ("OSI Approved")."""
    names = [text.removeprefix(PREFIX).split(" :: ")[-1] for text in classifiers if text.startswith(PREFIX)]
    return [name for name in dict.fromkeys(names) if name not in ("OSI Approved", "DFSG approved")]
