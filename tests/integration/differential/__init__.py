"""The differential test: thousands of requests whose answers must be the same with and without the proxy.

    kinds.py       who logs in: user, database, language, TDS version, options
    steps.py       what a session can do: requests of every kind, cancels, disconnects; a script is a list of them
    generator.py   makes a script from a seed and a number, knowing roughly what state the session is in
    moves_*.py     what it makes them of: options, transactions, objects, prepared statements, values, session, wire
    transcript.py  an answer taken apart: all tokens in order, without what may differ
    player.py      plays a script against a port and writes down what comes back
    without.py     what scripts can do without on other servers than the stand-in
    shrink.py      what of a script is enough to show a difference
    worker.py      a process that plays a share of the scripts

Each script runs alone and directly on one server, and among others through the proxy on another server of the same
make. Scripts share nothing: tables, locks and global names carry the script's number. What a script does follows from
the seed and its number alone, so that a difference can be played again.
"""
