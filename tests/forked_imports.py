"""Imported by the process from which commands are forked, before the first of them."""

from __future__ import annotations

from tests.forked import import_everything

import_everything()
