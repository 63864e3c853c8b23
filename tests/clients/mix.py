#!/usr/bin/env python3
"""The plan of scenario `mix`: what every connection asks, and what it must be answered.

    mix.py <driver> --clients N --operations M --seed S         writes it to stdout; run-client does

One model for all drivers: each connection owns the rows of its owner number, so that all it may see follows from what it
did before. The programs of the drivers play the plan and compare; they know nothing of its meaning.

A plan is lines of fields, separated by tabs. Lists of values are separated by US (0x1F), rows by RS (0x1E).

    client      <owner> [<database>]                the next lines are for a connection of its own
    wait        <word>                              says "waiting <word>"; goes on when there is a file <plan>.<word>
    operation   <kind>                              simple, prepared, transaction, procedure, ddl; verify is not counted
    batch       <text> <expected>                   a plain batch, literals and all
    ask         <text> <parameters> <expected>      with parameters @p1, @p2 ..., each once and in this order
    prepare     <name> <text> <types>               types: a letter for each parameter, i or s
    run         <name> <parameters> <expected>
    unprepare   <name>
    begin, commit, rollback                         in the way of the driver
    save, back  <name>                              a savepoint, and back to it
    call        <procedure> <parameter names> <parameters> <expected> <output's name> <output> <status>
    fail        <text> <number>                     a batch that the server refuses

The output parameter is the procedure's first. Parameters: i12 an int, sTEXT nvarchar, n NULL (nvarchar), $name what was captured. Expected: `-` anything (the next request
asks about this one), `#12` rows affected, `=rows` the rows of all results together; a cell is =TEXT, n for NULL, >name to
capture it, or $name to be what was captured. {name} in a text stands for what was captured. Output and status: cells, `-` where the
driver cannot show them.
"""

import argparse
import collections
import json
import os
import random
import sys

KINDS = {"simple": 60, "prepared": 15, "transaction": 15, "procedure": 5, "ddl": 5}  # per cent
US, RS = "\x1f", "\x1e"
NAMES = ("Padaria São João", "O'Neil & Söhne", "日本語テスト", "plain", "50% off; -- no comment", "[x] \"y\"", "Ωmega €uro")
_HERE = os.path.dirname(os.path.abspath(__file__))


# --- how values are written

def literal(text):
    return "NULL" if text is None else "N'" + text.replace("'", "''") + "'"


def parameters(*values):
    def one(value):
        return "n" if value is None else f"i{value}" if isinstance(value, int) else f"s{value}"
    return US.join(map(one, values))


class Cell(str):
    """A cell as the plan writes it; other values are put into it."""


def cell(value):
    if isinstance(value, Cell):
        return value
    return "n" if value is None else f"={value}"


def rows(*all_rows):
    return "=" + RS.join(US.join(map(cell, row)) for row in all_rows)


def affected(count):
    return f"#{count}"


# --- one connection

class Client:
    """Rows are {k: (v, name)}. `lines` is the plan so far."""

    def __init__(self, owner, seed, traits):
        self.owner, self.traits, self.random = owner, traits, random.Random(f"{seed}/{owner}")
        self.rows, self.next_key, self.names_made = {}, 1, 0
        self.date_first = None  # what SET DATEFIRST was last
        self.held = {}          # prepared statements kept for later: name -> kind
        self.lines = []

    def put(self, *fields):
        line = "\t".join(map(str, fields))
        assert "\n" not in line, line
        self.lines.append(line)

    def batch(self, text, expected):
        self.put("batch", text, expected)

    def ask(self, text, values, expected):
        self.put("ask", text, parameters(*values), expected)

    def chance(self, per_cent):
        return self.random.randrange(100) < per_cent

    def fresh(self, word):
        self.names_made += 1
        return f"{word}{self.names_made}"

    def new_row(self):
        """A key not used before, and what is to be there."""
        key = self.next_key
        self.next_key += 1
        name = None if self.chance(10) else f"{self.random.choice(NAMES)} {key}"
        return key, self.random.randrange(-1000, 1000), name

    def some_key(self, missing=10):
        """Mostly one of a row that is there."""
        if not self.rows or self.chance(missing):
            return self.next_key + self.random.randrange(1000, 2000)
        return self.random.choice(sorted(self.rows))

    def of_owner(self, more=""):
        return f"WHERE owner = {self.owner}{more}"

    # --- checks

    def total(self):
        self.batch(f"SELECT COUNT(*) AS n, SUM(v) AS total FROM dbo.mix {self.of_owner()}",
                   rows((len(self.rows), sum(v for v, _ in self.rows.values()) if self.rows else None)))

    def all_rows(self):
        self.batch(f"SELECT k, v, name FROM dbo.mix {self.of_owner()} ORDER BY k",
                   rows(*((k, *self.rows[k]) for k in sorted(self.rows))))

    def point(self, key):
        where = self.of_owner(f" AND k = {key}")
        self.batch(f"SELECT v, name FROM dbo.mix {where}", rows(*([self.rows[key]] if key in self.rows else [])))

    def identity_is_of(self, captured, key):
        """The identity value that was asked for is that of the row which this connection inserted."""
        where = self.of_owner(" AND id = {" + captured + "}")
        self.batch(f"SELECT k FROM dbo.mix {where}", rows((key,)))

    # --- single statements, by literal or by parameter: used alone, and inside transactions

    def select(self):
        key = self.some_key()
        if self.chance(50):
            return self.point(key)
        self.ask("SELECT v, name FROM dbo.mix WHERE owner = @p1 AND k = @p2", (self.owner, key),
                 rows(*([self.rows[key]] if key in self.rows else [])))

    def insert_text(self, key, value, name):
        return f"INSERT INTO dbo.mix (owner, k, v, name) VALUES ({self.owner}, {key}, {value}, {literal(name)})"

    def insert(self, asked=None):
        """asked: where the identity value is asked for: not at all, in the same request, in the next."""
        key, value, name = self.new_row()
        by_parameter = self.chance(50)
        text = "INSERT INTO dbo.mix (owner, k, v, name) VALUES (@p1, @p2, @p3, @p4)"
        values, captured = (self.owner, key, value, name), self.fresh("id")
        function = self.random.choice(("SCOPE_IDENTITY()", "@@IDENTITY"))
        if asked == "same":
            expected = rows((Cell(">" + captured),))
            if by_parameter:
                self.ask(f"{text}; SELECT {function} AS id", values, expected)
            else:
                self.batch(f"{self.insert_text(key, value, name)}; SELECT {function} AS id", expected)
        elif asked == "next":
            if by_parameter and not self.traits.get("parameters_are_text"):
                function = "@@IDENTITY"  # what ran inside sp_executesql was another scope
            self.write(by_parameter, text, values, self.insert_text(key, value, name), "-")
            self.batch(f"SELECT {function} AS id", rows((Cell(">" + captured),)))
        else:
            self.write(by_parameter, text, values, self.insert_text(key, value, name), affected(1))
        self.rows[key] = (value, name)
        if asked:
            self.identity_is_of(captured, key)
        return key

    def write(self, by_parameter, text, values, plain, expected):
        if by_parameter:
            self.ask(text, values, expected)
        else:
            self.batch(plain, expected)

    def update(self):
        key, delta = self.some_key(), self.random.randrange(1, 100)
        self.write(self.chance(50), "UPDATE dbo.mix SET v = v + @p1 WHERE owner = @p2 AND k = @p3", (delta, self.owner, key),
                   f"UPDATE dbo.mix SET v = v + {delta} {self.of_owner(f' AND k = {key}')}",
                   affected(int(key in self.rows)))
        self.added(key, delta)

    def added(self, key, delta):
        if key in self.rows:
            value, name = self.rows[key]
            self.rows[key] = (value + delta, name)

    def delete(self):
        key = self.some_key()
        self.write(self.chance(50), "DELETE FROM dbo.mix WHERE owner = @p1 AND k = @p2", (self.owner, key),
                   f"DELETE FROM dbo.mix {self.of_owner(f' AND k = {key}')}", affected(int(key in self.rows)))
        self.rows.pop(key, None)

    def row_count(self):
        """@@ROWCOUNT of an UPDATE of several rows, or of a SELECT, in the next request."""
        limit = self.some_key(missing=20)
        below = [k for k in self.rows if k <= limit]
        where = self.of_owner(f" AND k <= {limit}")
        if self.chance(60):
            self.batch(f"UPDATE dbo.mix SET v = v + 1 {where}", "-")
            for key in below:
                self.added(key, 1)
        else:
            self.batch(f"DELETE FROM dbo.mix {self.of_owner(f' AND k = {limit}')}", "-")
            below = [limit] if limit in self.rows else []
            self.rows.pop(limit, None)
        self.batch("SELECT @@ROWCOUNT AS n", rows((len(below),)))

    def option(self):
        """State of the session: nobody else may change it, and it must not get lost."""
        if self.date_first is None or self.chance(30):
            self.date_first = self.random.randrange(1, 8)
            self.batch(f"SET DATEFIRST {self.date_first}", "-")
        self.batch("SELECT @@DATEFIRST AS n", rows((self.date_first,)))

    def refused(self):
        """A key that is there already; then @@ERROR in the next request."""
        if not self.rows or self.traits.get("no_errors"):
            return self.select()
        self.put("fail", self.insert_text(self.random.choice(sorted(self.rows)), 0, None), 2627)
        if not self.traits.get("asks_error"):
            self.batch("SELECT @@ERROR AS n", rows((2627,)))
        self.total()

    # --- operations

    def simple(self):
        whole = (self.select, 20), (self.total, 6), (lambda: self.insert("same"), 12), (lambda: self.insert("next"), 14), \
            (self.insert, 6), (self.update, 14), (self.delete, 8), (self.row_count, 10), (self.option, 6), (self.refused, 4)
        self.random.choices([do for do, _ in whole], [weight for _, weight in whole])[0]()

    STATEMENTS = {
        "select": ("SELECT v, name FROM dbo.mix WHERE owner = @p1 AND k = @p2", "ii"),
        "update": ("UPDATE dbo.mix SET v = v + @p1 WHERE owner = @p2 AND k = @p3", "iii"),
        "insert": ("INSERT INTO dbo.mix (owner, k, v, name) VALUES (@p1, @p2, @p3, @p4)", "iiis"),
    }

    def prepared(self):
        """Prepare, run, unprepare; some are kept, and run again in a later operation."""
        if self.held and self.chance(60):
            name = self.random.choice(sorted(self.held))
            kind = self.held.pop(name)
        else:
            kind, name = self.random.choice(sorted(self.STATEMENTS)), self.fresh("s")
            self.put("prepare", name, *self.STATEMENTS[kind])
        for _ in range(self.random.randrange(3, 6)):
            self.run(name, kind)
        if len(self.held) < 2 and self.chance(40):
            self.held[name] = kind
        else:
            self.put("unprepare", name)

    def run(self, name, kind):
        if kind == "insert":
            key, value, text = self.new_row()
            self.put("run", name, parameters(self.owner, key, value, text), affected(1))
            self.rows[key] = (value, text)
            return
        key = self.some_key()
        if kind == "update":
            delta = self.random.randrange(1, 100)
            self.put("run", name, parameters(delta, self.owner, key), affected(int(key in self.rows)))
            self.added(key, delta)
        else:
            self.put("run", name, parameters(self.owner, key), rows(*([self.rows[key]] if key in self.rows else [])))

    def statement(self):
        self.random.choice((self.insert, self.update, self.delete, self.select, lambda: self.insert("same")))()

    def transaction(self):
        before, saved = dict(self.rows), None
        self.put("begin")
        inserted = None
        for number in range(self.random.randrange(2, 5)):
            if number > 0 and saved is None and self.chance(20):
                name = self.fresh("sp")
                self.put("save", name)
                saved = name, dict(self.rows)
            self.statement()
        if saved and self.chance(60):
            self.put("back", saved[0])
            self.rows = saved[1]
            self.total()
        elif self.chance(30):
            inserted = self.insert()
        if self.chance(60):
            self.put("commit")
            if inserted:  # many applications ask only now
                captured = self.fresh("id")
                self.batch("SELECT @@IDENTITY AS id", rows((Cell(">" + captured),)))
                self.identity_is_of(captured, inserted)
        else:
            self.put("rollback")
            self.rows = before
        self.total()

    def procedure(self):
        if self.chance(60):
            key, delta = self.some_key(), self.random.randrange(1, 100)
            self.added(key, delta)
            there = key in self.rows
            self.call("mix_add", "owner,k,delta", (self.owner, key, delta), rows(), "total",
                      self.rows[key][0] if there else None, key if there else -1)
            return self.point(key)
        key, value, name = self.new_row()
        captured = self.fresh("id")
        self.rows[key] = (value, name)
        self.call("mix_put", "owner,k,v,name", (self.owner, key, value, name), rows((key, Cell(">" + captured))), "rows",
                  len(self.rows), key)
        self.batch("SELECT @@IDENTITY AS id", rows((Cell("$" + captured),)))
        self.identity_is_of(captured, key)

    def call(self, procedure, names, values, expected, output_name, output, status):
        if expected != rows() and self.traits.get("no_output_after_rows"):
            output = status = Cell("-")
        self.put("call", f"dbo.{procedure}", names, parameters(*values), expected, output_name, cell(output), cell(status))

    def ddl(self):
        self.random.choice((self.temp_table, self.temp_table_of_rows, self.own_table))()

    def temp_table(self):
        name, count = self.fresh("#t"), self.random.randrange(1, 5)
        content = [(i, f"{self.random.choice(NAMES)} {i}") for i in range(count)]
        self.batch(f"CREATE TABLE {name} (i int NOT NULL, s nvarchar(60) NULL)", "-")
        for i, text in content:
            self.batch(f"INSERT INTO {name} (i, s) VALUES ({i}, {literal(text)})", affected(1))
        if self.chance(50):
            self.simple()
        self.batch(f"SELECT i, s FROM {name} ORDER BY i", rows(*content))
        self.batch(f"DROP TABLE {name}", "-")
        self.batch(f"SELECT OBJECT_ID(N'tempdb..{name}') AS gone", rows((None,)))

    def temp_table_of_rows(self):
        name = self.fresh("#t")
        self.batch(f"SELECT k, v INTO {name} FROM dbo.mix {self.of_owner()}", "-")
        self.batch(f"SELECT COUNT(*) AS n, SUM(v) AS total FROM {name}",
                   rows((len(self.rows), sum(v for v, _ in self.rows.values()) if self.rows else None)))
        self.batch(f"DROP TABLE {name}", "-")
        self.total()

    def own_table(self):
        name, first, second = f"dbo.mix_own_{self.owner}", self.random.randrange(100), self.random.randrange(100)
        self.batch(f"CREATE TABLE {name} (i int NOT NULL PRIMARY KEY)", "-")
        self.batch(f"INSERT INTO {name} (i) VALUES ({first})", affected(1))
        self.batch(f"ALTER TABLE {name} ADD j int NULL", "-")
        self.batch(f"UPDATE {name} SET j = {second} WHERE i = {first}", affected(1))
        self.batch(f"SELECT i, j FROM {name}", rows((first, second)))
        self.batch(f"DROP TABLE {name}", "-")
        self.batch(f"SELECT OBJECT_ID(N'{name}') AS gone", rows((None,)))

    def first_rows(self):
        """Removes those of an earlier run, too."""
        self.batch(f"DELETE FROM dbo.mix {self.of_owner()}", "-")
        made = [self.new_row() for _ in range(3)]
        values = ", ".join(f"({self.owner}, {key}, {value}, {literal(name)})" for key, value, name in made)
        self.batch(f"INSERT INTO dbo.mix (owner, k, v, name) VALUES {values}", affected(len(made)))
        self.rows.update({key: (value, name) for key, value, name in made})

    def plan(self, operations):
        self.put("client", self.owner)
        self.put("operation", "verify")
        self.first_rows()
        for kind in self.kinds(operations):
            self.put("operation", kind)
            getattr(self, kind)()
        self.put("operation", "verify")
        for name in sorted(self.held):
            self.put("unprepare", name)
        self.total()
        self.all_rows()
        self.batch("SELECT @@TRANCOUNT AS n", rows((0,)))
        return self.lines

    def kinds(self, operations):
        """The shares of KINDS as exactly as `operations` allows, what is left over by lot, in any order."""
        kinds = [kind for kind, share in KINDS.items() for _ in range(operations * share // 100)]
        kinds += self.random.choices(list(KINDS), list(KINDS.values()), k=operations - len(kinds))
        self.random.shuffle(kinds)
        return kinds


def traits_of(driver):
    with open(os.path.join(_HERE, "drivers.json"), encoding="utf-8") as file:
        return json.load(file)["drivers"][driver].get("mix", {})


def clients_of(driver, clients, operations, seed):
    """All connections, with their plans made: .owner, .rows as they must be at the end, .lines."""
    traits = traits_of(driver)
    made = [Client(seed * 1000 + number, seed, traits) for number in range(1, clients + 1)]
    for client in made:
        client.plan(operations)
    return made


def operations_of(made):
    """{kind: how many} over all connections, as the program must count them."""
    counts = collections.Counter(line.split("\t")[1] for client in made for line in client.lines
                                 if line.startswith("operation\t"))
    return {kind: counts[kind] for kind in KINDS}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--clients", type=int, default=25)
    parser.add_argument("--operations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args, _ = parser.parse_known_args()
    sys.stdout.reconfigure(encoding="utf-8")
    for client in clients_of(args.driver, args.clients, args.operations, args.seed):
        sys.stdout.write("\n".join(client.lines) + "\n")


if __name__ == "__main__":
    main()
