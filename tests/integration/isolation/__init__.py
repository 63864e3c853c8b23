"""Load of the isolation tests: thousands of sessions that set every kind of state and vanish, each of which looks first
whether it sees what a new session sees.

    kinds.py     who logs in: user, database, language, TDS version, options
    wire.py      a client as lean as Python allows: whole messages out and in, answers compared as bytes
    check.py     what a session looks at first, and what a new session of its kind sees there, read from the server
    moves.py     what a session does: one statement or request of every kind that leaves state behind
    vanish.py    how it ends
    worker.py    a process that plays a share of the sessions in threads

Which session does what follows from the seed and the session's number alone.
"""
