// Scenario `reading`: what a SqlDataReader can be asked for, and large values in both directions.
using System;
using System.Data;
using System.Data.SqlClient;
using System.Data.SqlTypes;
using System.IO;
using System.Linq;
using System.Text;

static class Reading
{
    const int Large = 300000;

    // A value piece by piece, while it comes.
    static void Sequential(SqlConnection c)
    {
        using (SqlCommand command = Client.Command(c, "SELECT 1 AS a, REPLICATE(CAST(N'é' AS nvarchar(max)), " + Large + ") AS n, "
            + "CAST(REPLICATE(CAST('x' AS varchar(max)), " + Large + ") AS varbinary(max)) AS b, CAST(NULL AS nvarchar(max)) AS z"))
        using (SqlDataReader reader = command.ExecuteReader(CommandBehavior.SequentialAccess))
        {
            reader.Read();
            var characters = new char[1000];
            long read = 0, right = 0, got;
            while ((got = reader.GetChars(1, read, characters, 0, characters.Length)) > 0)
            {
                right += characters.Take((int)got).Count(one => one == 'é');
                read += got;
            }
            long bytes = reader.GetStream(2).CopyAll();
            Client.Say("sequential: " + read + " characters, " + right + " right, " + bytes + " bytes, then "
                + (reader.IsDBNull(3) ? "NULL" : "something"));
        }
    }

    static long CopyAll(this Stream stream)
    {
        var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray().Count(one => one == 'x');
    }

    // Not all of a row, not all rows, not all results.
    static void Partly(SqlConnection c)
    {
        string text = "SELECT i, REPLICATE(CAST('y' AS varchar(max)), 20000) AS t FROM dbo.numbers; SELECT 2 AS n";
        using (SqlDataReader reader = Client.Command(c, text).ExecuteReader(CommandBehavior.SequentialAccess))
        {
            reader.Read();
            reader.Read();
            Client.Say("partly: " + reader.GetInt32(0) + ", then " + (reader.NextResult() && reader.Read() ? reader.GetInt32(0) : -1));
        }
        using (SqlDataReader reader = Client.Command(c, text).ExecuteReader(CommandBehavior.SingleRow))
        {
            Client.Say("a single row: " + reader.Read() + " " + reader.Read() + " " + reader.NextResult());
        }
        using (SqlDataReader reader = Client.Command(c, text).ExecuteReader(CommandBehavior.SingleResult))
        {
            Client.Say("a single result: " + reader.Read() + " " + reader.NextResult());
        }
        Client.Say("after it: " + Client.Scalar(c, "SELECT 1 AS n"));
    }

    static void Columns(SqlConnection c, string what, CommandBehavior behavior, string text, CommandType type = CommandType.Text)
    {
        using (SqlCommand command = Client.Command(c, text))
        {
            command.CommandType = type;
            if (type == CommandType.StoredProcedure)
            {
                command.Parameters.AddWithValue("@app_id", "APP-000001");
            }
            using (SqlDataReader reader = command.ExecuteReader(behavior))
            {
                DataTable schema = reader.GetSchemaTable();
                var names = schema.Rows.Cast<DataRow>().Select(row => row["ColumnName"] + " " + row["DataTypeName"]
                    + (row["IsKey"] is bool && (bool)row["IsKey"] ? " key" : "")
                    + (row["IsAutoIncrement"] is bool && (bool)row["IsAutoIncrement"] ? " identity" : "")
                    + (row["AllowDBNull"] is bool && (bool)row["AllowDBNull"] ? " null" : ""));
                Client.Say(what + ": " + string.Join(", ", names) + "; rows: " + reader.HasRows);
            }
        }
    }

    static void Shapes(SqlConnection c)
    {
        Columns(c, "schema only", CommandBehavior.SchemaOnly, "SELECT i, name FROM dbo.numbers");
        Columns(c, "schema only, procedure", CommandBehavior.SchemaOnly, "sp_get_tenant", CommandType.StoredProcedure);
        Columns(c, "key info", CommandBehavior.KeyInfo, "SELECT name, value FROM dbo.test_table WHERE id < 0");
        Columns(c, "both", CommandBehavior.KeyInfo | CommandBehavior.SchemaOnly, "SELECT name, value FROM dbo.test_table");
        Client.Say("no more of it: " + Client.Query(c, "SELECT TOP 1 i, name FROM dbo.numbers ORDER BY i")[0].Length + " columns");
    }

    static string RoundTrip(SqlConnection c, SqlDbType type, int size, object value)
    {
        using (SqlCommand command = Client.Command(c, "SELECT @v AS v, DATALENGTH(@v) AS n"))
        {
            command.Parameters.Add("@v", type, size).Value = value;
            using (SqlDataReader reader = command.ExecuteReader())
            {
                reader.Read();
                object got = reader.GetValue(0);
                bool equal = value is byte[] ? got is byte[] && ((byte[])value).SequenceEqual((byte[])got) : got.Equals(value);
                return type + " " + Client.Canonical(reader.GetValue(1)) + (equal ? " equal" : " not equal");
            }
        }
    }

    static void Parameters(SqlConnection c)
    {
        byte[] bytes = Enumerable.Range(0, 1000000).Select(i => (byte)(i * 7)).ToArray();
        Client.Say("parameters: " + string.Join(", ",
            RoundTrip(c, SqlDbType.NVarChar, -1, new string('ç', Large)),
            RoundTrip(c, SqlDbType.VarBinary, -1, bytes),
            RoundTrip(c, SqlDbType.NVarChar, 100, DBNull.Value),
            RoundTrip(c, SqlDbType.VarChar, 100, ""),
            RoundTrip(c, SqlDbType.Bit, 0, true),
            RoundTrip(c, SqlDbType.BigInt, 0, long.MinValue),
            RoundTrip(c, SqlDbType.Float, 0, 0.1),
            RoundTrip(c, SqlDbType.Decimal, 0, 79228162514264337593543950335m),
            RoundTrip(c, SqlDbType.Money, 0, -922337203685477.5808m),
            RoundTrip(c, SqlDbType.UniqueIdentifier, 0, new Guid("01234567-89ab-cdef-0123-456789abcdef")),
            RoundTrip(c, SqlDbType.DateTime2, 0, new DateTime(9999, 12, 31, 23, 59, 59).AddTicks(9999999)),
            RoundTrip(c, SqlDbType.DateTimeOffset, 0, new DateTimeOffset(2024, 2, 29, 1, 2, 3, TimeSpan.FromMinutes(-210))),
            RoundTrip(c, SqlDbType.Time, 0, new TimeSpan(0, 23, 59, 59, 999))));
    }

    // A table of many packets. The tests' server has no table types, and says so when it has all of it.
    static void Table(SqlConnection c)
    {
        var rows = new DataTable();
        rows.Columns.Add("i", typeof(int));
        rows.Columns.Add("t", typeof(string));
        foreach (int i in Enumerable.Range(1, 5000))
        {
            rows.Rows.Add(i, i % 7 == 0 ? null : new string('t', i % 50));
        }
        using (SqlCommand command = Client.Command(c, "SELECT COUNT(*) AS n FROM @t"))
        {
            SqlParameter table = command.Parameters.Add("@t", SqlDbType.Structured);
            table.TypeName = "dbo.pairs";
            table.Value = rows;
            Client.Say("a table: " + Client.Outcome(command.ExecuteScalar) + ", then " + Client.Scalar(c, "SELECT 1 AS n"));
        }
    }

    // Both ways, NULL, and what the procedure returns.
    static void Output(SqlConnection c)
    {
        Client.Execute(c, "CREATE OR ALTER PROCEDURE dbo.sqlclient_output @a int OUTPUT, @t nvarchar(max) OUTPUT, @z int OUTPUT AS "
            + "BEGIN SET @a = @a + 1; SET @t = REPLICATE(@t, 1000); SET @z = NULL; SELECT 1 AS n; RETURN 42; END");
        using (SqlCommand command = Client.Command(c, "dbo.sqlclient_output"))
        {
            command.CommandType = CommandType.StoredProcedure;
            command.Parameters.Add("@a", SqlDbType.Int).Value = 6;
            command.Parameters.Add("@t", SqlDbType.NVarChar, -1).Value = "ação ";
            command.Parameters.Add("@z", SqlDbType.Int).Value = 5;
            foreach (SqlParameter parameter in command.Parameters)
            {
                parameter.Direction = ParameterDirection.InputOutput;
            }
            command.Parameters.Add("@status", SqlDbType.Int).Direction = ParameterDirection.ReturnValue;
            object row = command.ExecuteScalar();
            Client.Say("output: row " + row + ", a " + command.Parameters["@a"].Value + ", t " + ((string)command.Parameters["@t"].Value).Length
                + ", z " + Client.Canonical(command.Parameters["@z"].Value) + ", status " + command.Parameters["@status"].Value);
        }
    }

    public static void Run()
    {
        using (SqlConnection c = Client.Connect())
        {
            Sequential(c);
            Partly(c);
            Shapes(c);
            Parameters(c);
            Table(c);
            Output(c);
        }
        Client.Say("closed");
    }
}
