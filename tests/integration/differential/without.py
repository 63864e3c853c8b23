"""What scripts can do without, beside moves by their name: on a server where it comes out otherwise, or otherwise each time.
test_elsewhere.py says so for a server that is not the stand-in."""

KEEPING_RESET = "reset that keeps the transaction"
BARE_LOGIN = "login without PRELOGIN"             # that of TDS 7.1, as jTDS does it
UNNAMED_PREPEXEC = "sp_prepexec without names"    # of its values
UNKNOWN_UNPREPARE = "sp_unprepare of nobody's"
WORDS_OF_8179 = "words of 8179"                   # which the proxy says by itself
DEFAULTS_INSIDE = "ANSI_DEFAULTS in dynamic SQL"
OLD_BULK = "bulk load at TDS 7.1"                 # of which none succeeds
UNPREPARE_STATUS = "status of sp_unprepare"       # which is that of the procedure before
ERROR_BY_RPC = "@@ERROR by RPC"                   # of the request before: SQL Server has none there
NUMBERS_IN_WORDS = "numbers in words"             # other than handles, that look like one: a count in the text of an error
