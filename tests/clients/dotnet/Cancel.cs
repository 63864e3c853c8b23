// Scenario `cancel`: CommandTimeout and SqlCommand.Cancel(), which send an attention; the connection is good afterwards.
using System;
using System.Data.SqlClient;
using System.Threading;
using System.Threading.Tasks;

static class Cancel
{
    const string Wait = "WAITFOR DELAY '00:00:30'";

    static string TimesOut(SqlConnection c, string text, SqlTransaction t = null)
    {
        return Client.Outcome(() =>
        {
            using (var command = new SqlCommand(text, c, t) { CommandTimeout = 1 })
            {
                return command.ExecuteNonQuery();
            }
        });
    }

    // Asynchronous: while a thread reads, this Cancel() has to wait for it.
    static string Cancelled(SqlConnection c, string text, SqlTransaction t = null)
    {
        using (SqlCommand command = Client.Command(c, text, t))
        {
            Task<int> running = command.ExecuteNonQueryAsync();
            Thread.Sleep(300);
            command.Cancel();
            return Client.Outcome(() => running.GetAwaiter().GetResult());
        }
    }

    static string After(SqlConnection c, SqlTransaction t = null)
    {
        using (SqlCommand command = Client.Command(c, "SELECT CONCAT(@@TRANCOUNT, ' ', @@DATEFIRST) AS s", t))
        {
            return "; then " + c.State + " " + command.ExecuteScalar();
        }
    }

    static void InTransaction(SqlConnection c)
    {
        using (SqlTransaction t = c.BeginTransaction())
        {
            Client.Execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'cancel', 1)", t);
            Client.Say("time-out in a transaction: " + TimesOut(c, Wait, t) + After(c, t));
            Client.Say("cancelled in a transaction: " + Cancelled(c, Wait, t) + After(c, t));
            t.Commit();
        }
        Client.Say("committed: " + Client.Scalar(c, "SELECT COUNT(*) AS n FROM dbo.test_table WHERE name = N'cancel'"));
        Client.Execute(c, "DELETE FROM dbo.test_table WHERE name = N'cancel'");
    }

    // In the middle of a result, and when all of it has been read.
    static void InResult(SqlConnection c)
    {
        using (SqlCommand command = Client.Command(c, "SELECT a.i, REPLICATE('x', 4000) AS t FROM dbo.numbers a, dbo.numbers b"))
        {
            using (SqlDataReader reader = command.ExecuteReader())
            {
                reader.Read();
                command.Cancel();
                Client.Say("in a result: " + Client.Outcome(() => { while (reader.Read()) { } return "all of it"; }));
            }
            command.Cancel();
        }
        Client.Say("in a result" + After(c));
    }

    static void Prepared(SqlConnection c)
    {
        using (SqlCommand command = Client.Command(c, "WAITFOR DELAY '00:00:30'; SELECT @n AS n"))
        {
            command.Parameters.Add("@n", System.Data.SqlDbType.Int).Value = 7;
            command.CommandTimeout = 1;
            command.Prepare();
            Client.Say("prepared: " + Client.Outcome(() => command.ExecuteScalar()));
            command.CommandText = "SELECT @n AS n";
            Client.Say("prepared again: " + Client.Outcome(() => command.ExecuteScalar()) + After(c));
        }
    }

    public static void Run()
    {
        using (SqlConnection c = Client.Connect())
        {
            Client.Execute(c, "SET DATEFIRST 3");
            Client.Say("time-out: " + TimesOut(c, Wait) + After(c));
            Client.Say("cancelled: " + Cancelled(c, Wait) + After(c));
            Client.Say("cancelled, much sent: " + Cancelled(c, Wait + " --" + new string('x', 100000)) + After(c));
            InTransaction(c);
            InResult(c);
            Prepared(c);
        }
        Client.Say("closed");
    }
}
