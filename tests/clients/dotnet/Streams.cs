// Scenario `streams`: MultipleActiveResultSets, as far as the server grants it.
using System;
using System.Collections.Generic;
using System.Data.SqlClient;
using System.Linq;
using System.Threading.Tasks;

static class Streams
{
    static SqlConnection Open()
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.ApplicationName = "client-sqlclient-mars";
        s.MultipleActiveResultSets = true;
        s.MaxPoolSize = 1;
        return Client.Opened(s);
    }

    static void Readers(SqlConnection c)
    {
        List<SqlDataReader> readers = Enumerable.Range(1, 5).Select(factor =>
            Client.Command(c, "SELECT i * " + factor + " AS i, REPLICATE('x', 200) AS x FROM dbo.numbers ORDER BY i").ExecuteReader()).ToList();
        long sum = 0;
        for (int row = 0; row < 1000; row++)
        {
            sum += readers.Sum(reader => reader.Read() ? reader.GetInt32(0) : 0);
        }
        Client.Say("5 readers: " + sum + ", more: " + readers.Any(reader => reader.Read()));
        readers.ForEach(reader => reader.Close());
    }

    // Rows are changed while they are read, in one transaction.
    static void Nested(SqlConnection c)
    {
        using (SqlTransaction t = c.BeginTransaction())
        {
            int changed = 0;
            using (SqlDataReader reader = Client.Command(c, "SELECT TOP 50 i FROM dbo.numbers ORDER BY i", t).ExecuteReader())
            {
                while (reader.Read())
                {
                    changed += Client.Execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'mars', " + reader[0] + ")", t);
                }
            }
            t.Rollback();
            Client.Say("nested: " + changed + ", left: " + Client.Scalar(c, "SELECT COUNT(*) AS n FROM dbo.test_table WHERE name = N'mars'"));
        }
    }

    // One of them is cancelled, the other not.
    static void Cancelled(SqlConnection c)
    {
        using (SqlCommand slow = new SqlCommand("WAITFOR DELAY '00:00:30'", c) { CommandTimeout = 1 })
        using (SqlDataReader reader = Client.Command(c, "SELECT i FROM dbo.numbers ORDER BY i").ExecuteReader())
        {
            reader.Read();
            string outcome = Client.Outcome(() => slow.ExecuteNonQuery());
            int rows = 1;
            while (reader.Read())
            {
                rows++;
            }
            Client.Say("one cancelled: " + outcome + ", the other: " + rows + " rows");
        }
    }

    static void AtOnce(SqlConnection c)
    {
        Task<object>[] tasks = Enumerable.Range(1, 8).Select(n => Client.Command(c, "SELECT " + n + " AS n").ExecuteScalarAsync()).ToArray();
        Task.WaitAll(tasks);
        Client.Say("8 at once: " + tasks.Sum(task => (int)task.Result));
    }

    public static void Run()
    {
        for (int use = 1; use <= 2; use++) // the second time from the pool
        {
            using (SqlConnection c = Open())
            {
                Client.Say("two readers: " + Client.Outcome(() =>
                {
                    using (Client.Command(c, "SELECT i FROM dbo.numbers").ExecuteReader())
                    using (Client.Command(c, "SELECT i FROM dbo.numbers").ExecuteReader())
                    {
                        return "open";
                    }
                }) + ", DATEFIRST " + Client.Scalar(c, "SELECT @@DATEFIRST AS n"));
                if (Client.Arg("mars", "off") == "on")
                {
                    Readers(c);
                    Nested(c);
                    Cancelled(c);
                    AtOnce(c);
                }
                Client.Execute(c, "SET DATEFIRST 3");
            }
        }
        SqlConnection.ClearAllPools();
        Client.Say("closed");
    }
}
