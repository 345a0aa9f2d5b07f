"""Imports all of ddb2pg, and does what every command does again and again, for processes that are forked from this one."""

import gc
import importlib
import pkgutil

import pipeline
from pipeline.outcome import page
from tests.quick_beam import remember, warm_up

for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    importlib.import_module(module.name)
importlib.import_module("tests.plain_windows")
remember()
warm_up()
for template in page._environment().list_templates(["html"]):
    page._environment().get_template(template)
gc.collect()
gc.freeze()  # so that no fork goes through, and copies, what all have
