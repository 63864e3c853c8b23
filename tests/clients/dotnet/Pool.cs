// Scenario `pool`: SqlClient's own connection pool. A connection that is opened again is the one that was closed, and its next
// request carries the RESETCONNECTION bit.
using System;
using System.Collections.Generic;
using System.Data;
using System.Data.SqlClient;
using System.Linq;
using System.Threading;

static class Pool
{
    const string State = "SELECT CONCAT(@@DATEFIRST, ' ', @@LOCK_TIMEOUT, ' ', DB_NAME(), ' ', @@TRANCOUNT, ' ', "
        + "CASE WHEN OBJECT_ID('tempdb..#t') IS NULL THEN 'no #t' ELSE '#t' END, ' ', "
        + "CASE WHEN CONTEXT_INFO() IS NULL THEN 'no context' ELSE 'context' END) AS s";

    static SqlConnectionStringBuilder Address(int size)
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.ApplicationName = "client-sqlclient-" + size;
        s.MaxPoolSize = size;
        return s;
    }

    static SqlConnection Open(int size)
    {
        return Client.Opened(Address(size));
    }

    static void Count(string what)
    {
        using (SqlConnection c = Open(1))
        {
            Client.Say(what + ": " + Client.Scalar(c, "SELECT COUNT(*) AS n FROM dbo.test_table WHERE name = N'pool'") + " rows, "
                + Client.Scalar(c, State));
        }
    }

    // What one use of a connection leaves, and what the next finds.
    static void StateGoes()
    {
        Guid first;
        using (SqlConnection c = Open(1))
        {
            first = c.ClientConnectionId;
            Client.Execute(c, "SET DATEFIRST 3; SET LOCK_TIMEOUT 1234; SET CONTEXT_INFO 0x01; CREATE TABLE #t (n int)");
            Client.Say("set: " + Client.Scalar(c, State));
            c.ChangeDatabase("master");
            Client.Say("changed: " + c.Database + " " + Client.Scalar(c, "SELECT DB_NAME() AS n"));
        }
        using (SqlConnection c = Open(1))
        {
            Client.Say("opened again: " + (c.ClientConnectionId == first ? "the same connection, " : "another connection, ")
                + c.Database + ", " + Client.Scalar(c, State));
            Client.Execute(c, "USE master");
        }
        Count("after USE");
    }

    // A transaction that nobody ended, begun in each way.
    static void TransactionGoes()
    {
        const string insert = "INSERT INTO dbo.test_table (name, value) VALUES (N'pool', 1)";
        using (SqlConnection c = Open(1))
        {
            Client.Execute(c, insert, c.BeginTransaction());
        }
        Count("left by the API");
        using (SqlConnection c = Open(1))
        {
            Client.Execute(c, "BEGIN TRAN; " + insert);
        }
        Count("left in text");
        using (SqlConnection c = Open(1))
        {
            Client.Execute(c, "SET IMPLICIT_TRANSACTIONS ON");
            Client.Execute(c, insert);
        }
        Count("left by IMPLICIT_TRANSACTIONS");
    }

    // A reset does not put it back (SQL Server 2012 and earlier) or does: whatever the server does is to be seen.
    static void IsolationLevel()
    {
        const string level = "SELECT transaction_isolation_level AS n FROM sys.dm_exec_sessions WHERE session_id = @@SPID";
        using (SqlConnection c = Open(1))
        using (SqlTransaction transaction = c.BeginTransaction(System.Data.IsolationLevel.Serializable))
        {
            Client.Execute(c, "SELECT 1", transaction);
            transaction.Commit();
            Client.Say("isolation level: " + Client.Scalar(c, level));
        }
        using (SqlConnection c = Open(1))
        {
            Client.Say("isolation level, opened again: " + Client.Scalar(c, level));
            Client.Execute(c, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        }
    }

    // A command that was prepared before its connection was closed prepares again.
    static void PreparedGoes()
    {
        using (SqlConnection c = Open(1))
        using (SqlCommand command = Client.Command(c, "SELECT @n * 2 AS n"))
        {
            command.Parameters.Add("@n", SqlDbType.Int).Value = 21;
            command.Prepare();
            for (int i = 0; i < 3; i++)
            {
                Client.Say("prepared: " + command.ExecuteScalar() + " " + command.ExecuteScalar());
                c.Close();
                c.Open();
            }
        }
    }

    // Closed in the middle of a result.
    static void ReaderGoes()
    {
        using (SqlConnection c = Open(1))
        {
            Client.Command(c, "SELECT a.i, b.name FROM dbo.numbers a, dbo.numbers b").ExecuteReader().Read();
        }
        Count("after a reader");
    }

    static void Many()
    {
        var seen = new HashSet<Guid>();
        int wrong = 0;
        List<Thread> threads = Enumerable.Range(0, 4).Select(number => new Thread(() =>
        {
            for (int i = 0; i < 25; i++)
            {
                using (SqlConnection c = Open(2))
                {
                    bool right = Client.Scalar(c, State) == "7 -1 tenant_db 0 no #t no context";
                    Client.Execute(c, "SET DATEFIRST " + (1 + number) + "; SELECT 1 AS n INTO #t; USE master");
                    lock (seen)
                    {
                        seen.Add(c.ClientConnectionId);
                        wrong += right ? 0 : 1;
                    }
                }
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Client.Say("100 opens: at most 2 connections: " + (seen.Count <= 2) + ", wrong: " + wrong);
    }

    // More than there are: the driver itself lets wait, and gives up.
    static void Full()
    {
        SqlConnectionStringBuilder s = Address(1);
        s.ConnectTimeout = 1;
        using (Client.Opened(s))
        {
            Client.Say("one too many: " + Client.Outcome(() => Client.Opened(s)));
        }
    }

    // Those in the pool are lost meanwhile: the driver notices, and opens another one.
    static void Lost()
    {
        using (SqlConnection c = Open(1))
        {
            Client.Scalar(c, State);
        }
        Client.Await("cut");
        Count("after a cut");
        SqlConnection.ClearAllPools();
        Count("after ClearAllPools");
    }

    public static void Run()
    {
        StateGoes();
        TransactionGoes();
        IsolationLevel();
        PreparedGoes();
        ReaderGoes();
        Many();
        Full();
        Lost();
        SqlConnection.ClearAllPools();
        Client.Say("closed");
    }
}
