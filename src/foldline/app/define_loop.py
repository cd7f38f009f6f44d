"""Defining a loop as its settings have it, which every role does at its start."""

import uuid

from foldline.engine.defining import define
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.settings import LoopSettings


def define_loop(log: Log, name: str, settings: LoopSettings, *, holder: str, now: int) -> LoopDefinition:
    """Define a loop, or its next version where its settings differ."""

    def settle(old: LoopDefinition | None) -> LoopDefinition:
        return settings.settle(name, old, salt=uuid.uuid4().hex, now=now)

    return define(log, Catalogue(), name, settle, holder=holder, now=now)
