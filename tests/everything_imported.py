"""Imports all of ddb2pg, for processes that are forked from this one."""

import gc
import importlib
import pkgutil

import pipeline

for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    importlib.import_module(module.name)
gc.collect()
gc.freeze()  # so that no fork goes through, and copies, what all have
