"""GUI tools and what they send by themselves, at the console: the SQL Tools Service of Azure Data Studio and VS Code with SMO in it,
the catalog as JDBC and ODBC tools ask for it, and the texts of others. docs/console.md."""

import os

from harness import *
from harness.tds import *
from harness.toolsservice import ToolsService
from test_console import ADMIN, BASE, MONITOR, SHOWS, TOOLS, console, drive, keys_of, scene, session_of, shown, wait_state
from test_standin_protocol import numbers

VIEWS = sorted(what.lower() for what in SHOWS)


def details(proxy, who, encrypt):
    return {"serverName": f"127.0.0.1,{proxy.port}", "databaseName": BASE, "userName": who[0], "password": who[1],
            "authenticationType": "SqlLogin", "encrypt": encrypt, "trustServerCertificate": True, "connectTimeout": 30}


def assert_no_error(service):
    log = service.log()
    assert "Error: 0" not in log and "Exception" not in log, log[-4000:]


# ---------------------------------------------------------------------------------------------------- the SQL Tools Service

@timeout(180)
@cases(encrypt=["off", "full"])
def test_query_window(t, encrypt):
    """Connect, commands and SELECTs in a query window, PAUSE with a client that waits, the list of databases, disconnect."""
    server, proxy = scene(t, bucket={"queue_timeout": "170s"}, **({"client_tls": "disable"} if encrypt == "off" else {}))
    uri = "untitled:one.sql"
    with ToolsService(t.folder) as service, t.client(proxy, app_name="client", encrypt=encrypt) as client:
        client.query("SELECT 1")
        told = service.connect(uri, **details(proxy, ADMIN, encrypt == "full"))
        assert told["connectionSummary"]["databaseName"] == BASE and told["serverInfo"]["serverEdition"].startswith("tdsbouncer")
        (columns, rows), = service.query(uri, "SHOW POOLS")
        assert columns == SHOWS["POOLS"].split() and [row[0] for row in rows] == ["b1"]
        (columns, rows), = service.query(uri, "SELECT application, bytes_in FROM clients WHERE bucket = 'b1' AND state = 'active'")
        assert columns == ["application", "bytes_in"] and [row[0] for row in rows] == ["client"] and int(rows[0][1]) > 0
        assert service.query(uri, "PAUSE b1") == []
        client.send("SELECT 7 AS n")
        with console(t, proxy, encrypt=encrypt) as admin:
            wait_state(admin, "client", "waiting")
        assert service.query(uri, "RESUME b1\nGO\nSHOW VERSION")[0][0] == SHOWS["VERSION"].split()
        assert client.receive().rows == [[7]]
        for include in (False, True):
            names = service.ask("connection/listdatabases", {"ownerUri": uri, "includeDetails": include})["databaseNames"]
            assert sorted(names) == ["master", BASE]
        service.ask("connection/changedatabase", {"ownerUri": uri, "newDatabase": "master"})
        assert service.query(uri, "SELECT DB_NAME()")[0][1] == [["master"]]
        service.ask("connection/disconnect", {"ownerUri": uri})
        assert_no_error(service)


def walk(service, session, path, seen, most=200):
    """Expands a node and all nodes under it; `seen` gets their labels by paths."""
    for label, node in service.expand(session, path).items():
        seen[node["nodePath"][len(seen["root"]):].strip("/")] = label
        if not node["isLeaf"] and len(seen) < most:
            walk(service, session, node["nodePath"], seen, most)


@timeout(240)
def test_object_tree(t):
    """Every node of the tree can be expanded; what SHOW says are the views of database tdsbouncer, with their columns."""
    _, proxy = scene(t, client_tls="disable")
    with ToolsService(t.folder) as service:
        session, root = service.tree(**details(proxy, MONITOR, False))
        seen = {"root": root}
        walk(service, session, root, seen, 20_000)
        assert {"Databases/tdsbouncer", "Databases/System Databases/master", "Security", "Server Objects"} <= set(seen)
        place = "Databases/tdsbouncer/Views/"
        views = [path[len(place):] for path in seen if path.startswith(place) and path.count("/") == 3]
        assert sorted(view for view in views if view != "System Views") == [f"dbo.{name}" for name in VIEWS]
        for what, columns in SHOWS.items():
            front = f"{place}dbo.{what.lower()}/Columns/"
            assert sorted(path[len(front):] for path in seen if path.startswith(front)) == sorted(columns.split())
        assert seen[f"{place}dbo.pools/Columns/clients"] == "clients (int, null)"
        assert not any(path.startswith("Databases/System Databases/master/Views/dbo.") for path in seen)
        service.ask("objectexplorer/closesession", {"sessionId": session})
        assert_no_error(service)


# ---------------------------------------------------------------------------------------------------- JDBC and ODBC

def catalog_of(t, proxy, driver):
    """What the driver's own catalog functions say: {name of the call: [rows]} (scenario catalog of tests/clients)."""
    encrypt = capabilities()[driver]["encrypt"][0]
    run = t.driver(driver, proxy, "catalog", encrypt, user=ADMIN[0], password=ADMIN[1], database=BASE)
    assert run.rc == 0 and run.out.endswith("closed\n"), run
    found, last = {}, None
    for line in run.out.splitlines():
        sign, _, text = line.partition(" ")
        if sign == ">":
            last = found.setdefault(text, [])
        elif sign == "=":
            last.append(text.split("\t"))
    return found


@timeout(120)
@cases(driver=["mssql-jdbc", "jtds", "pyodbc"])
def test_catalog_functions(t, driver):
    """DatabaseMetaData as DBeaver and DataGrip use it; ODBC's catalog functions."""
    server, proxy = scene(t)
    with t.client(proxy) as client:
        client.query("SELECT 1")
        found = catalog_of(t, proxy, driver)
    assert [row[0] for row in found["catalogs"]] == ["master", BASE]
    assert {"dbo", "sys", "INFORMATION_SCHEMA"} <= {row[0] for row in found["schemas"]}
    assert sorted(row[2] for row in found["tables"]) == VIEWS and {row[3] for row in found["tables"]} == {"VIEW"}
    assert [row[2] for row in found["tables like po%"]] == ["pools"]
    assert found["tables of type TABLE"] == []
    assert [row[3] for row in found["columns of pools"]] == SHOWS["POOLS"].split()
    assert {row[5] for row in found["columns of pools"]} == {"nvarchar", "int", "bigint"}
    assert {"nvarchar", "int", "bigint", "datetime"} <= {row[0] for row in found["types"]}
    for nothing in ("primary keys of pools", "indexes of pools", "foreign keys of pools", "procedures"):
        assert found[nothing] == [], nothing
    (shown_pool,) = found["shown"]
    assert shown_pool[0] == "b1" and shown_pool[2] == server.user


# ---------------------------------------------------------------------------------------------------- other texts

# DBeaver, HeidiSQL, SSMS and others, in the forms that they send; and the rows that answer, or how many.
TEXTS = {
    "dbeaver databases": ("SELECT db.name FROM sys.databases db WHERE HAS_DBACCESS(db.name) = 1 ORDER BY db.name", [["master"], [BASE]]),
    "dbeaver schemas": ("SELECT s.*,ep.value as description FROM [tdsbouncer].[sys].[schemas] s LEFT OUTER JOIN "
                        "[tdsbouncer].[sys].[extended_properties] ep ON ep.class=3 AND ep.major_id=s.schema_id AND ep.minor_id=0 "
                        "AND ep.name='MS_Description' WHERE s.name = 'dbo' ORDER BY s.name", [["dbo", 1, 1, None]]),
    "dbeaver objects": ("SELECT o.*,ep.value as description,t.is_external FROM [tdsbouncer].[sys].[all_objects] o LEFT OUTER JOIN "
                        "[tdsbouncer].[sys].[extended_properties] ep ON ep.class=1 AND ep.major_id=o.object_id AND ep.minor_id=0 AND "
                        "ep.name='MS_Description' LEFT OUTER JOIN [tdsbouncer].[sys].[tables] t ON t.object_id=o.object_id WHERE o.type "
                        "IN ('U','S','V','TT') AND o.schema_id = 1", len(VIEWS)),
    "dbeaver columns": ("SELECT c.*,t.name as table_name,t.schema_id,cc.is_persisted,cc.definition as computed_definition, "
                        "COLUMNPROPERTY(c.object_id, c.name, 'charmaxlen') as char_max_length, dc.definition as default_definition,"
                        "dc.name as default_constraint_name,ep.value as description FROM sys.all_columns c JOIN sys.all_objects t ON "
                        "t.object_id=c.object_id LEFT OUTER JOIN sys.default_constraints dc ON dc.parent_object_id=t.object_id AND "
                        "dc.parent_column_id=c.column_id LEFT OUTER JOIN sys.extended_properties ep ON ep.class=1 AND "
                        "ep.major_id=t.object_id AND ep.minor_id=c.column_id AND ep.name='MS_Description' LEFT OUTER JOIN "
                        "sys.computed_columns cc ON cc.object_id=t.object_id AND cc.column_id=c.column_id WHERE t.schema_id=1 ORDER BY "
                        "c.object_id,c.column_id", sum(len(columns.split()) for columns in SHOWS.values())),
    "dbeaver indexes": ("SELECT i.*,ic.index_column_id,t.name as table_name FROM sys.indexes i, sys.index_columns ic, sys.tables t "
                        "WHERE t.object_id = i.object_id AND ic.object_id=i.object_id ORDER BY i.object_id,i.index_id", []),
    "dbeaver triggers": ("SELECT t.*, SUBSTRING((SELECT ', ' + te.type_desc AS [text()] FROM sys.trigger_events te WHERE t.object_id = "
                         "te.object_id FOR XML PATH ('')), 2, 1000) as trigger_type FROM sys.triggers t, sys.objects o "
                         "WHERE o.object_id=t.object_id AND o.schema_id=1 ORDER BY t.name", []),
    "dbeaver external": ("SELECT TOP 1 is_external from sys.tables where 1<>1", []),
    "dbeaver rows": ("SELECT TOP 200 * FROM tdsbouncer.dbo.help", 15),
    "dbeaver login": ("select original_login()", [[ADMIN[0]]]),
    "heidi databases": ("SELECT \"name\" FROM \"sys\".\"databases\" ORDER BY \"name\"", [["master"], [BASE]]),
    "heidi objects": ("SELECT o.name, SCHEMA_NAME(\"schema_id\") AS 'schema', rc.RowsInTable FROM \"tdsbouncer\".sys.objects AS o LEFT JOIN ("
                      " SELECT object_id, SUM(rows) AS RowsInTable FROM \"tdsbouncer\".sys.partitions WHERE index_id IN (0,1) GROUP BY "
                      "object_id ) AS rc ON rc.object_id = o.object_id WHERE o.\"type\" IN ('P', 'U', 'V') AND o.name LIKE 'p%'",
                      [["pools", "dbo", None]]),
    "heidi variables": ("SELECT comment, value FROM master.dbo.syscurconfigs ORDER BY comment", []),
    "ssms rows": ("SELECT TOP (1000) [command],[who] FROM [tdsbouncer].[dbo].[help] WHERE [command] = 'DRAIN'", [["DRAIN", "admin"]]),
    "ssms groups": ("select name as [AvailabilityGroupName], group_id into #tmpag from master.sys.availability_groups SELECT AG.group_id "
                    "FROM #tmpag AS AG LEFT OUTER JOIN master.sys.availability_replicas as ar ON AG.group_id = ar.group_id ORDER BY "
                    "[AvailabilityGroupName] ASC drop table #tmpag", []),
    "ssms options": ("SELECT dtb.name AS [Name], CAST(0 AS bit) AS [Hidden], ISNULL((select top 1 1 from sys.database_files), 0) FROM "
                     "master.sys.databases AS dtb WHERE (CAST(case when dtb.name in ('master','model','msdb','tempdb') then 1 else "
                     "dtb.is_distributor end AS bit)=0) ORDER BY [Name] ASC", [[BASE, False, 0]]),
    "ssms sql agent": ("IF OBJECT_ID('msdb.dbo.sysjobs') IS NULL SELECT 0 ELSE SELECT COUNT(*) FROM msdb.dbo.sysjobs", [[0]]),
    "smo #tables": ("create table #tmp_sp_get(a int, b sysname null) insert into #tmp_sp_get select 1, N'x' insert #tmp_sp_get exec "
                    "('select 2, null') update #tmp_sp_get set b = b + N'!' where a = 1 select a, b from #tmp_sp_get order by a drop table "
                    "#tmp_sp_get", [[1, "x!"], [2, None]]),
    "variables": ("DECLARE @a int = 1, @b nvarchar(20); SET @a += 1; SELECT @b = name FROM sys.databases WHERE database_id = 1; "
                  "SELECT @a AS a, @b AS b", [[2, "master"]]),
    "table variable": ("DECLARE @t TABLE (q sysname, o sysname, n sysname, y varchar(32), r varchar(254)); INSERT INTO @t EXEC sp_tables "
                       "N'po%'; SELECT q, o, n, y FROM @t", [[BASE, "dbo", "pools", "VIEW"]]),
    "loop": ("DECLARE @i int = 0; WHILE @i < 10 BEGIN SET @i = @i + 1; IF @i = 3 CONTINUE; IF @i = 5 BREAK; END SELECT @i", [[5]]),
    "try": ("BEGIN TRY SELECT 1 / 0; SELECT 5; END TRY BEGIN CATCH SELECT ERROR_NUMBER() AS n; END CATCH", [[8134]]),
    "executesql": ("EXEC sp_executesql N'SELECT @a + 1 AS n', N'@a int', @a = 6", [[7]]),
    "noexec": ("SET NOEXEC ON; PAUSE; SELECT 1; SET NOEXEC OFF; SELECT paused FROM buckets", [[0]]),
    "rowcount": ("SET ROWCOUNT 1 SELECT name FROM sys.schemas ORDER BY name DESC SET ROWCOUNT 0", [["sys"]]),
    "fmtonly": ("SET FMTONLY ON SELECT name FROM sys.databases SHOW VERSION SET FMTONLY OFF", []),
    "use": ("USE [master]; SELECT DB_NAME(); USE [tdsbouncer]", [["master"]]),
}


def test_texts(t):
    """By a batch, and by sp_executesql."""
    _, proxy = scene(t)
    with console(t, proxy) as admin:
        for text, (sql, rows) in TEXTS.items():
            for answer in [admin.ask(sql)] + ([admin.rpc("sp_executesql", sql)] if text != "use" else []):
                assert not answer.errors, (text, answer.errors)
                assert (answer.rows if isinstance(rows, list) else len(answer.rows)) == rows, (text, answer.rows)
            assert shown(admin, "VERSION")


def test_values_of_calls(t):
    """Parameters of sp_executesql, of prepared statements and of the catalog procedures, by their places and by their names."""
    _, proxy = scene(t)
    ask = "SELECT name, @n + 1 AS n, @s AS s FROM sys.databases WHERE name = @s"
    with console(t, proxy) as admin:
        assert admin.rpc("sp_executesql", ask, "@n int, @s nvarchar(30)", 5, "master").rows == [["master", 6, "master"]]
        answer = admin.rpc("sp_prepexec", None, "@n int, @s nvarchar(30)", ask, 7, BASE)
        (_, _, handle), = answer.return_values
        assert answer.rows == [[BASE, 8, BASE]]
        assert admin.rpc("sp_execute", handle, 1, "master").rows == [["master", 2, "master"]]
        assert admin.rpc("sp_execute", handle, None, None).rows == []
        answer = admin.rpc("sp_tables", "p%")
        assert [row[:4] for row in answer.rows] == [[BASE, "dbo", "pools", "VIEW"]] and answer.return_status == 0
        assert len(admin.rpc("[tdsbouncer]..sp_columns_100", "queue", "dbo").rows) == len(SHOWS["QUEUE"].split())
        assert admin.rpc("[master].sys.sp_tables").rows == []
        assert len(admin.rpc("sp_datatype_info_100", 0, 3).rows) > 5
        assert numbers(admin.rpc("sp_no_such_thing", 1)) == [2812]


def test_what_is_too_much(t):
    """Loops, joins and texts without end get an error, and nobody else waits for it."""
    _, proxy = scene(t)
    with console(t, proxy) as admin, t.client(proxy) as client:
        for sql in ("WHILE 1 = 1 SELECT 1 WHERE 1 = 0",
                    "DECLARE @i int = 0; WHILE 1 = 1 SET @i = @i + 1",
                    "SELECT COUNT(*) FROM sys.columns a, sys.columns b, sys.columns c, sys.columns d",
                    "DECLARE @s nvarchar(max) = N'SELECT 1'; WHILE 1 = 1 SET @s = @s + @s + N' '"):
            answer = admin.ask(sql)
            assert numbers(answer)[-1] in (50007, 8152) and client.query("SELECT 1").rows == [[1]], (sql, answer.errors[-3:])
        assert numbers(admin.ask("DECLARE @s nvarchar(100) = N'EXEC (@x)'; EXEC (N'EXEC (N''EXEC (N''''SELECT 1'''')'')')")) == []
        rows = " ".join("INSERT #t VALUES (1)" for _ in range(1_200))
        assert 50007 in numbers(admin.ask(f"CREATE TABLE #t (a int) {rows}"))
        assert admin.scalar("SELECT COUNT(*) FROM #t") == 1_000
        admin.query("SELECT 1", STATUS_RESET)
        assert numbers(admin.ask("SELECT * FROM #t")) == [208], "a reset drops it"


def test_master(t):
    """A login to master with a user and password of the console is one to it; any other is the server's."""
    server, proxy = scene(t)
    with console(t, proxy, MONITOR, database="master") as monitor:
        assert monitor.scalar("SELECT DB_NAME()") == "master" and shown(monitor, "VERSION")
        assert (1, BASE, "master") in monitor.query("USE tdsbouncer").env
        assert len(monitor.query("SELECT * FROM pools").columns[0]) == len(SHOWS["POOLS"].split())
        monitor.query("SELECT 1", STATUS_RESET)
        assert monitor.scalar("SELECT DB_NAME()") == "master"
    before = server.stats()["logins_total"]
    error = try_login(proxy.port, MONITOR[0], "wrong", "master")
    assert error is not None and error.number == 18456 and "console: login failed" not in proxy.log_text()
    with t.client(proxy, database="master") as client:
        assert client.scalar("SELECT DB_NAME()") == "master" and server.stats()["logins_total"] > before


def test_the_views_are_what_show_says(t):
    _, proxy = scene(t)
    with console(t, proxy, MONITOR) as monitor, t.client(proxy, app_name="somebody") as client:
        client.query("SELECT 1")
        for what, columns in SHOWS.items():
            answer = monitor.query(f"SELECT * FROM dbo.{what.lower()}")
            assert answer.columns == [columns.split()], what
            if what not in ("CLIENTS", "SERVERS", "STATS", "INSTANCES", "VERSION"):  # those have times in them
                assert answer.rows == monitor.query(f"SHOW {what}").rows, what
        assert monitor.query("SELECT name, [default], reload FROM config WHERE section = 'proxy' AND name LIKE 'listen[_]%' "
                             "ORDER BY name DESC").rows[0][0] == "listen_port"
        assert monitor.scalar("SELECT COUNT(*) FROM clients c JOIN buckets b ON b.bucket = c.bucket WHERE c.application = N'somebody'") == 1
        assert numbers(monitor.ask("SELECT nothing FROM pools")) == [207]
        assert numbers(monitor.ask("SELECT 1 FROM tdsbouncer.dbo.nothing")) == [208]
