// Scenario `async`: the asynchronous half of SqlClient, which reads and writes in another way than the rest.
using System;
using System.Collections.Generic;
using System.Data;
using System.Data.SqlClient;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

static class Async
{
    static async Task<SqlConnection> Open()
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.ApplicationName = "client-sqlclient-async";
        s.MaxPoolSize = 4;
        var c = new SqlConnection(s.ToString());
        await c.OpenAsync();
        return c;
    }

    static async Task<long> Sum(int number)
    {
        using (SqlConnection c = await Open())
        using (SqlCommand command = Client.Command(c, "SELECT i * @f, name FROM dbo.numbers"))
        {
            command.Parameters.AddWithValue("@f", number);
            long sum = 0;
            using (SqlDataReader reader = await command.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    sum += await reader.GetFieldValueAsync<int>(0);
                }
            }
            return sum;
        }
    }

    // A value that is sent while it is read from a stream.
    static async Task<string> Streamed()
    {
        using (SqlConnection c = await Open())
        using (SqlCommand command = Client.Command(c, "SELECT DATALENGTH(@b) AS n"))
        {
            command.Parameters.Add("@b", SqlDbType.VarBinary, -1).Value = new MemoryStream(new byte[500000]);
            return Client.Canonical(await command.ExecuteScalarAsync());
        }
    }

    static async Task<string> Loaded()
    {
        var rows = new DataTable();
        rows.Columns.Add("name", typeof(string));
        rows.Columns.Add("value", typeof(int));
        foreach (int i in Enumerable.Range(1, 500))
        {
            rows.Rows.Add("async", i);
        }
        using (SqlConnection c = await Open())
        using (SqlTransaction t = c.BeginTransaction())
        {
            using (var copy = new SqlBulkCopy(c, SqlBulkCopyOptions.Default, t) { DestinationTableName = "dbo.test_table", BatchSize = 200 })
            {
                copy.ColumnMappings.Add("name", "name");
                copy.ColumnMappings.Add("value", "value");
                await copy.WriteToServerAsync(rows);
            }
            using (SqlCommand command = Client.Command(c, "SELECT SUM(value) AS n FROM dbo.test_table WHERE name = N'async'", t))
            {
                return Client.Canonical(await command.ExecuteScalarAsync());
            }
        }
    }

    static async Task<string> Canceled()
    {
        using (SqlConnection c = await Open())
        using (SqlCommand command = Client.Command(c, "WAITFOR DELAY '00:00:30'"))
        using (var source = new CancellationTokenSource(300))
        {
            string outcome;
            try
            {
                await command.ExecuteNonQueryAsync(source.Token);
                outcome = "not";
            }
            catch (Exception)
            {
                outcome = "yes";
            }
            command.CommandText = "SELECT 1";
            return outcome + ", then " + await command.ExecuteScalarAsync();
        }
    }

    static async Task All()
    {
        long[] sums = await Task.WhenAll(Enumerable.Range(1, 20).Select(Sum));
        Client.Say("20 at once: " + sums.Sum());
        Client.Say("streamed: " + await Streamed());
        Client.Say("loaded: " + await Loaded());
        Client.Say("cancelled: " + await Canceled());
    }

    public static void Run()
    {
        All().GetAwaiter().GetResult();
        SqlConnection.ClearAllPools();
        Client.Say("closed");
    }
}
