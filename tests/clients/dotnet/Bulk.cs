// Scenario `bulk`: SqlBulkCopy. It asks for the table's columns, then sends INSERT BULK and its rows once for each batch.
using System;
using System.Data;
using System.Data.SqlClient;
using System.Linq;

static class Bulk
{
    const string Sums = "SELECT CONCAT(COUNT(*), ' rows, ', SUM(i), ', ', SUM(LEN(name)), ' characters, ', SUM(amount), ', ', "
        + "MIN(moment), ', ', SUM(DATALENGTH(data)), ' bytes, ', COUNT(*) - COUNT(note), ' without a note') AS s FROM dbo.bulk_rows";

    static DataTable Rows(int count, int first = 1)
    {
        var table = new DataTable();
        table.Columns.Add("i", typeof(int));
        table.Columns.Add("name", typeof(string));
        table.Columns.Add("amount", typeof(decimal));
        table.Columns.Add("moment", typeof(DateTime));
        table.Columns.Add("data", typeof(byte[]));
        table.Columns.Add("note", typeof(string));
        foreach (int i in Enumerable.Range(first, count))
        {
            table.Rows.Add(i, "linha número " + i, i / 4m, new DateTime(2024, 2, 29, 13, 14, 15).AddMinutes(i), new byte[i % 50],
                i % 3 == 0 ? (object)DBNull.Value : new string('n', i == 1 ? 100000 : 3));
        }
        return table;
    }

    static void Load(SqlConnection c, DataTable rows, SqlBulkCopyOptions options = SqlBulkCopyOptions.Default,
        SqlTransaction transaction = null, int batch = 0)
    {
        using (var copy = new SqlBulkCopy(c, options, transaction) { DestinationTableName = "dbo.bulk_rows", BatchSize = batch })
        {
            copy.WriteToServer(rows);
        }
    }

    static void Tell(SqlConnection c, string what)
    {
        Client.Say(what + ": " + Client.Scalar(c, Sums) + ", in a transaction: " + Client.Scalar(c, "SELECT @@TRANCOUNT AS n"));
    }

    static void Alone(SqlConnection c)
    {
        Load(c, Rows(100));
        Tell(c, "one batch");
        Load(c, Rows(100, 101), batch: 30);
        Tell(c, "four batches");
        Load(c, Rows(10, 201), SqlBulkCopyOptions.KeepNulls | SqlBulkCopyOptions.TableLock | SqlBulkCopyOptions.CheckConstraints
            | SqlBulkCopyOptions.FireTriggers);
        Tell(c, "with options");
        Load(c, Rows(25, 301), SqlBulkCopyOptions.UseInternalTransaction, batch: 10);
        Tell(c, "in transactions of its own");
        Load(c, Rows(0));
        Tell(c, "nothing");
    }

    static void InTransaction(SqlConnection c)
    {
        using (SqlTransaction t = c.BeginTransaction())
        {
            Load(c, Rows(50, 1001), SqlBulkCopyOptions.Default, t, 20);
            using (SqlCommand command = Client.Command(c, Sums, t))
            {
                Client.Say("before it is taken back: " + command.ExecuteScalar());
            }
            t.Rollback();
        }
        Tell(c, "taken back");
        using (SqlTransaction t = c.BeginTransaction())
        {
            Load(c, Rows(50, 1001), SqlBulkCopyOptions.Default, t);
            t.Commit();
        }
        Tell(c, "committed");
    }

    static void Fails(SqlConnection c)
    {
        Client.Say("a key twice: " + Client.Outcome(() => { Load(c, Rows(10, 1)); return "loaded"; }));
        Tell(c, "after it");
        DataTable wrong = Rows(2, 5001);
        wrong.Rows[1][1] = DBNull.Value;
        Client.Say("NULL where none may be: " + Client.Outcome(() => { Load(c, wrong); return "loaded"; }));
        Tell(c, "after it");
    }

    // On a connection of its own: SET FMTONLY ON may be left there.
    static void Nowhere()
    {
        using (SqlConnection c = Client.Connect())
        using (var copy = new SqlBulkCopy(c) { DestinationTableName = "dbo.nowhere" })
        {
            Client.Say("no such table: " + Client.Outcome(() => { copy.WriteToServer(Rows(1)); return "loaded"; }));
        }
    }

    // From a reader of another connection, to columns of other names.
    static void FromReader(SqlConnection c)
    {
        using (SqlConnection source = Client.Connect())
        using (SqlCommand command = Client.Command(source, "SELECT i + 10000 AS number, name AS text FROM dbo.numbers"))
        using (SqlDataReader reader = command.ExecuteReader())
        using (var copy = new SqlBulkCopy(c) { DestinationTableName = "dbo.bulk_rows", NotifyAfter = 400, BatchSize = 250 })
        {
            copy.ColumnMappings.Add("number", "i");
            copy.ColumnMappings.Add("text", "name");
            copy.SqlRowsCopied += (sender, told) => Client.Say("copied: " + told.RowsCopied);
            copy.WriteToServer(reader);
        }
        Tell(c, "from a reader");
    }

    public static void Run()
    {
        using (SqlConnection c = Client.Connect())
        {
            Client.Execute(c, "IF OBJECT_ID('dbo.bulk_rows') IS NOT NULL DROP TABLE dbo.bulk_rows");
            Client.Execute(c, "CREATE TABLE dbo.bulk_rows (i int NOT NULL PRIMARY KEY, name nvarchar(60) NOT NULL, "
                + "amount decimal(18,2) NULL, moment datetime2(3) NULL, data varbinary(200) NULL, note nvarchar(max) NULL)");
            Alone(c);
            InTransaction(c);
            Fails(c);
            FromReader(c);
            Nowhere();
        }
        Client.Say("closed");
    }
}
