"""Runs a script of T-SQL batches separated by lines "GO", as sqlcmd does."""

import os
import re

from .clients import CLIENTS
from .tds import TdsClient

CLIENT_SEED = os.path.join(CLIENTS, "seed.sql")


def batches(text):
    return [batch for batch in re.split(r"(?mi)^\s*GO\s*$", text) if batch.strip()]


def run_script(path, port, user, password, database):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with TdsClient(port, user, password, database) as client:
        for batch in batches(text):
            client.query(batch)
