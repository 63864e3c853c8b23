// Scenario `scope`: System.Transactions over SqlClient. Connections that are opened one after the other in a scope are one
// connection, which the pool resets without touching the transaction (the bit RESETCONNECTIONSKIPTRAN).
using System;
using System.Data;
using System.Data.SqlClient;
using System.Transactions;

static class Scope
{
    const string Left = "SELECT COUNT(*) AS n FROM dbo.test_table WHERE name = N'scope'";

    static SqlConnection Open()
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.ApplicationName = "client-sqlclient-scope";
        return Client.Opened(s);
    }

    static void Insert(string what)
    {
        using (SqlConnection c = Open())
        {
            Client.Execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'scope', 1); SET DATEFIRST 3");
            Client.Say(what + ": " + Client.Scalar(c, Left) + " rows, in a transaction: " + Client.Scalar(c, "SELECT @@TRANCOUNT AS n")
                + ", DATEFIRST " + Client.Scalar(c, "SELECT @@DATEFIRST AS n"));
        }
    }

    static void Look(string what)
    {
        using (SqlConnection c = Open())
        {
            Client.Say(what + ": " + Client.Scalar(c, Left) + " rows, in a transaction: "
                + Client.Scalar(c, "SELECT @@TRANCOUNT AS n") + ", DATEFIRST " + Client.Scalar(c, "SELECT @@DATEFIRST AS n"));
        }
    }

    static void InScope(string what, bool complete, System.Transactions.IsolationLevel level)
    {
        var options = new TransactionOptions { IsolationLevel = level };
        using (var scope = new TransactionScope(TransactionScopeOption.Required, options))
        {
            Insert(what + ", first");
            Insert(what + ", second");
            Look(what + ", third");
            if (complete)
            {
                scope.Complete();
            }
        }
        Look(what + ", after it");
    }

    // Opened and closed, and nothing else: a transaction begins and ends all the same.
    static void Idle(bool complete)
    {
        using (var scope = new TransactionScope())
        {
            Open().Dispose();
            Open().Dispose();
            if (complete)
            {
                scope.Complete();
            }
        }
        Look("idle, " + (complete ? "completed" : "given up"));
    }

    // Two connections at once would be a distributed transaction, which there is not: what the first did is taken back.
    static void TwoAtOnce()
    {
        Client.Say("two at once: " + Client.Outcome(() =>
        {
            using (var scope = new TransactionScope())
            using (SqlConnection first = Open())
            {
                Client.Execute(first, "INSERT INTO dbo.test_table (name, value) VALUES (N'scope', 1)");
                using (Open())
                {
                    scope.Complete();
                    return "completed";
                }
            }
        }));
        Look("two at once, after it");
    }

    static void Savepoints()
    {
        using (SqlConnection c = Open())
        using (SqlTransaction t = c.BeginTransaction())
        {
            Client.Execute(c, "DELETE FROM dbo.test_table WHERE name = N'scope'", t);
            t.Save("one");
            Client.Execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'scope', 2)", t);
            t.Rollback("one");
            t.Commit();
            Client.Say("savepoint: " + Client.Scalar(c, Left) + " rows");
        }
    }

    public static void Run()
    {
        InScope("completed", true, System.Transactions.IsolationLevel.ReadCommitted);
        InScope("given up", false, System.Transactions.IsolationLevel.Serializable);
        Idle(true);
        Idle(false);
        TwoAtOnce();
        Savepoints();
        SqlConnection.ClearAllPools();
        Client.Say("closed");
    }
}
