// Test client: SqlClient. The same command line, scenarios and output as the other clients (../README.md).
using System;
using System.Collections.Generic;
using System.Data;
using System.Data.SqlClient;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

static class Client
{
    static readonly Dictionary<string, string> Args = new Dictionary<string, string>();
    static readonly TextWriter Out =
        new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true, NewLine = "\n" };

    public static void Say(string text)
    {
        lock (Out)
        {
            Out.WriteLine(text);
        }
    }

    public static string Arg(string name, string otherwise)
    {
        string value;
        return Args.TryGetValue(name, out value) ? value : otherwise;
    }

    // The server's number, or 0 when the error is the driver's own: those have negative numbers, or those of sockets.
    public static int NumberOf(SqlException error)
    {
        SqlError first = error.Errors.Count > 0 ? error.Errors[0] : null;
        return first == null || first.Number < 0 || first.Class >= 20 && first.State == 0 && first.LineNumber == 0 ? 0 : first.Number;
    }

    public static string Facts(Exception error)
    {
        var server = error as SqlException;
        string text = server != null && server.Errors.Count > 0 ? server.Errors[0].Message : error.Message;
        return "number=" + (server == null ? 0 : NumberOf(server)) + " text=" + Regex.Replace(text, "\\s+", " ").Trim();
    }

    // What became of it: what it says, or its error in short.
    public static string Outcome(Func<object> what)
    {
        try
        {
            return Canonical(what());
        }
        catch (SqlException error)
        {
            return error.Number == -2 ? "time-out" : "error " + NumberOf(error);
        }
        catch (Exception error)
        {
            return error.GetType().Name;
        }
    }

    // Until there is a file of that name: the test has done what it is to do.
    public static void Await(string word)
    {
        Say("waiting " + word);
        while (!File.Exists(Arg("plan", "") + "." + word))
        {
            Thread.Sleep(50);
        }
    }

    // What every application must give; the rest is the driver's default.
    public static SqlConnectionStringBuilder Address()
    {
        string encrypt = Arg("encrypt", "login");
        if (encrypt != "login" && encrypt != "full")
        {
            throw new ArgumentException("no encryption mode " + encrypt);
        }
        return new SqlConnectionStringBuilder
        {
            DataSource = "tcp:" + Arg("host", "127.0.0.1") + "," + Arg("port", "1433"),
            UserID = Arg("user", ""),
            Password = Arg("password", ""),
            InitialCatalog = Arg("database", ""),
            Encrypt = encrypt == "full",
            TrustServerCertificate = true,
        };
    }

    // One connection of our own: no pool, and nothing is tried again.
    public static SqlConnection Connect(string database = null)
    {
        SqlConnectionStringBuilder s = Address();
        s.InitialCatalog = database ?? s.InitialCatalog;
        s.ApplicationName = "client-sqlclient";
        s.ConnectTimeout = int.Parse(Arg("login-timeout", "60"));
        s.ConnectRetryCount = 0;
        s.Pooling = false;
        s.MultipleActiveResultSets = Arg("mars", "off") == "on";
        return Opened(s);
    }

    public static SqlConnection Opened(SqlConnectionStringBuilder s)
    {
        var connection = new SqlConnection(s.ToString());
        connection.Open();
        return connection;
    }

    public static SqlCommand Command(SqlConnection c, string text, SqlTransaction transaction = null)
    {
        return new SqlCommand(text, c, transaction) { CommandTimeout = int.Parse(Arg("timeout", "60")) };
    }

    public static string Canonical(object value)
    {
        if (value == null || value is DBNull)
        {
            return "NULL";
        }
        if (value is DateTime)
        {
            return ((DateTime)value).ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);
        }
        return Convert.ToString(value, CultureInfo.InvariantCulture);
    }

    public static object[] Row(IDataRecord record)
    {
        var row = new object[record.FieldCount];
        record.GetValues(row);
        return row;
    }

    public static List<object[]> Query(SqlConnection c, string text)
    {
        using (SqlCommand command = Command(c, text))
        using (SqlDataReader reader = command.ExecuteReader())
        {
            var rows = new List<object[]>();
            while (reader.Read())
            {
                rows.Add(Row(reader));
            }
            return rows;
        }
    }

    public static string Scalar(SqlConnection c, string text)
    {
        return Canonical(Query(c, text)[0][0]);
    }

    public static int Execute(SqlConnection c, string text, SqlTransaction transaction = null)
    {
        using (SqlCommand command = Command(c, text, transaction))
        {
            return command.ExecuteNonQuery();
        }
    }

    static void Selects(SqlConnection c)
    {
        Say("database=" + Scalar(c, "SELECT DB_NAME() AS name"));
        Say("resultado=" + Scalar(c, "SELECT 1 AS resultado"));
        object[] t = Query(c, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
            + "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x")[0];
        Say("typed int=" + Canonical(t[0]) + " nvarchar=" + Canonical(t[1]) + " decimal=" + Canonical(t[2])
            + " datetime2=" + Canonical(t[3]) + " null=" + Canonical(t[4]));
        List<object[]> rows = Query(c, "SELECT i, name FROM dbo.numbers ORDER BY i");
        Say("rows=" + rows.Count + " sum=" + rows.Sum(row => (int)row[0])
            + " characters=" + rows.Sum(row => new StringInfo((string)row[1]).LengthInTextElements));
    }

    static int Insert(SqlConnection c, string mark)
    {
        using (SqlCommand command = Command(c, "INSERT INTO dbo.test_table (name, value) VALUES (@name, @value); "
            + "SELECT CAST(SCOPE_IDENTITY() AS int) AS id"))
        {
            command.Parameters.AddWithValue("@name", mark);
            command.Parameters.AddWithValue("@value", 1);
            return (int)command.ExecuteScalar();
        }
    }

    static void InTransaction(SqlConnection c, string text, bool commit)
    {
        using (SqlTransaction transaction = c.BeginTransaction())
        {
            Execute(c, text, transaction);
            if (commit)
            {
                transaction.Commit();
            }
            else
            {
                transaction.Rollback();
            }
        }
    }

    static void Writes(SqlConnection c)
    {
        string mark = "sqlclient-" + Process.GetCurrentProcess().Id;
        string where = " WHERE name = N'" + mark + "'";
        string left = "SELECT COUNT(*) AS n FROM dbo.test_table" + where;
        string identity = Canonical(Insert(c, mark));
        string found = Scalar(c, "SELECT id FROM dbo.test_table" + where);
        Say("insert identity=" + (identity == found ? "match" : identity + " but the row has " + found));
        int updated = Execute(c, "UPDATE dbo.test_table SET value = value + 1" + where);
        Say("update rows=" + updated + " value=" + Scalar(c, "SELECT value FROM dbo.test_table" + where));
        int deleted = Execute(c, "DELETE FROM dbo.test_table" + where);
        Say("delete rows=" + deleted + " left=" + Scalar(c, left));
        InTransaction(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'" + mark + "', 5)", true);
        Say("commit left=" + Scalar(c, left));
        InTransaction(c, "DELETE FROM dbo.test_table" + where, false);
        Say("rollback left=" + Scalar(c, left));
        Execute(c, "DELETE FROM dbo.test_table" + where);
    }

    static void Parameters(SqlConnection c)
    {
        using (SqlCommand command = Command(c, "SELECT @n AS n, @v + 1 AS v"))
        {
            command.Parameters.AddWithValue("@n", "ação");
            command.Parameters.AddWithValue("@v", 7);
            using (SqlDataReader reader = command.ExecuteReader())
            {
                reader.Read();
                Say("parameters n=" + reader.GetString(0) + " v=" + reader.GetInt32(1));
            }
        }
        using (SqlCommand command = Command(c, "SELECT @v + 1 AS v"))
        {
            SqlParameter v = command.Parameters.Add("@v", SqlDbType.Int);
            command.Prepare();
            for (int n = 8; n <= 10; n++)
            {
                v.Value = n;
                Say("prepared v=" + command.ExecuteScalar());
            }
        }
    }

    static void Procedure(SqlConnection c)
    {
        using (SqlCommand command = Command(c, "sp_get_tenant"))
        {
            command.CommandType = CommandType.StoredProcedure;
            command.Parameters.AddWithValue("@app_id", "APP-000001");
            using (SqlDataReader reader = command.ExecuteReader())
            {
                reader.Read();
                Say("procedure app_id=" + reader["app_id"] + " name=" + reader["name"]);
            }
        }
    }

    static void Basic()
    {
        using (SqlConnection c = Connect())
        {
            Say("connected");
            Selects(c);
            Writes(c);
            Parameters(c);
            Procedure(c);
            try
            {
                Query(c, "SELECT 1/0 AS impossible");
                Say("no error");
            }
            catch (SqlException error)
            {
                Say("error " + Facts(error));
            }
            Say("after_error=" + Scalar(c, "SELECT 1 AS resultado"));
        }
        Say("closed");
    }

    static void Login()
    {
        using (SqlConnection c = Connect())
        {
            Say("connected");
            Say("resultado=" + Scalar(c, "SELECT 1 AS resultado"));
        }
        Say("closed");
    }

    static void Hold()
    {
        using (SqlConnection c = Connect())
        {
            Say("held spid=" + Scalar(c, "SELECT @@SPID AS spid"));
            Thread.Sleep(int.Parse(Arg("hold", "0")));
            Say("resultado=" + Scalar(c, "SELECT 1 AS resultado"));
        }
        Say("closed");
    }

    // The driver's defaults: its pool among them.
    static void Startup()
    {
        using (SqlConnection c = Opened(Address()))
        {
            Say("resultado=" + Scalar(c, "SELECT 1 AS resultado"));
            Thread.Sleep(int.Parse(Arg("hold", "0")));
        }
        Say("closed");
    }

    // One statement by sp_executesql.
    static void AskOne(SqlConnection c, string text)
    {
        using (SqlCommand command = Command(c, text))
        {
            command.Parameters.AddWithValue("@unused", 1);
            using (SqlDataReader reader = command.ExecuteReader())
            {
                if (reader.FieldCount > 0)
                {
                    Say("# " + string.Join("\t", Enumerable.Range(0, reader.FieldCount).Select(reader.GetName)));
                }
                while (reader.Read())
                {
                    Say("= " + string.Join("\t", Row(reader).Select(Canonical)));
                }
            }
        }
    }

    // The statements of a file on one connection: columns and rows of each, or its error.
    static void Ask()
    {
        using (SqlConnection c = Opened(Address()))
        {
            foreach (string statement in File.ReadAllLines(Arg("ask", "")))
            {
                Say("> " + statement);
                try
                {
                    AskOne(c, statement);
                }
                catch (SqlException error)
                {
                    Say("! " + Regex.Replace(Facts(error), "^number=(-?\\d+) text=", "$1 "));
                }
            }
        }
        Say("closed");
    }

    // Two results at once on one connection: one is read while the other's requests run.
    static void Mars()
    {
        using (SqlConnection c = Connect())
        {
            Say("connected");
            using (SqlCommand command = Command(c, "SELECT TOP 1000 i, REPLICATE('x', 500) AS x FROM dbo.numbers ORDER BY i"))
            using (SqlDataReader reader = command.ExecuteReader())
            {
                for (int read = 1; reader.Read(); read++)
                {
                    if (read % 97 == 0)
                    {
                        Say("rows=" + read + " between=" + Scalar(c, "SELECT " + read + " + @@TRANCOUNT AS n"));
                    }
                }
            }
        }
        Say("closed");
    }

    static readonly Dictionary<string, Action> Scenarios = new Dictionary<string, Action>
    {
        { "basic", Basic }, { "login", Login }, { "hold", Hold }, { "startup", Startup }, { "ask", Ask }, { "mars", Mars },
        { "pool", Pool.Run }, { "scope", Scope.Run }, { "bulk", Bulk.Run }, { "reading", Reading.Run }, { "cancel", Cancel.Run },
        { "errors", Errors.Run }, { "keywords", Keywords.Run }, { "schema", Schema.Run }, { "async", Async.Run },
        { "recovery", Recovery.Run }, { "streams", Streams.Run },
    };

    static bool RunOne(Action scenario)
    {
        try
        {
            scenario();
            return true;
        }
        catch (SqlException error)
        {
            Say("ERROR " + Facts(error));
        }
        catch (Exception error)
        {
            Say("ERROR number=0 text=" + Regex.Replace(error.ToString(), "\\s+", " "));
        }
        return false;
    }

    static int Main(string[] argv)
    {
        for (int i = 1; i + 1 < argv.Length; i += 2)
        {
            Args[argv[i].Substring(2)] = argv[i + 1];
        }
        string name = Arg("scenario", "login");
        if (name == "mix")
        {
            return Mix.Run(argv[0]) ? 0 : 3;
        }
        Action scenario;
        if (!Scenarios.TryGetValue(name, out scenario))
        {
            Console.Error.WriteLine("no scenario " + name);
            return 2;
        }
        int times = name == "hold" || name == "startup" ? int.Parse(Arg("count", "1")) : 1, failures = 0;
        List<Thread> threads = Enumerable.Range(0, times).Select(i => new Thread(() =>
        {
            if (!RunOne(scenario))
            {
                Interlocked.Increment(ref failures);
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return failures > 0 ? 3 : 0;
    }
}
