"""Who plays: users, databases, languages, TDS versions. Those of one user, version and flags share server connections."""

from harness.tds import TDS71, TDS72, TDS73B
from isolation.kinds import DBLIB, PASSWORD, USERS, Kind  # noqa: F401 (PASSWORD and USERS for the tests)

DATABASES = tuple(f"diff_{n}" for n in range(6))


def all_kinds():
    yield Kind("anna", "diff_0", weight=30)
    yield Kind("anna", "diff_1", "Deutsch", weight=20)
    yield Kind("anna", "diff_2", "British", weight=10)
    yield Kind("bert", "diff_3", weight=15)
    yield Kind("carl", "diff_4", "Svenska", flags=DBLIB, weight=6)
    yield Kind("anna", "diff_5", tds=TDS72, weight=6)
    yield Kind("bert", "diff_3", "Deutsch", tds=TDS73B, weight=6)
    yield Kind("anna", "diff_0", tds=TDS71, weight=6)
    yield Kind("anna", "diff_1", "Deutsch", tds=TDS71, weight=6)


def kind_of(chance):
    kinds = list(all_kinds())
    return chance.choices(kinds, [k.weight for k in kinds])[0]
