// Scenario `errors`: all that a SqlException shows of a server's errors, and messages that are none.
using System;
using System.Data.SqlClient;
using System.Linq;

static class Errors
{
    static string Shown(SqlError e)
    {
        return e.Number + "/" + e.Class + "/" + e.State + " line " + e.LineNumber + (e.Procedure == "" ? "" : " in " + e.Procedure) + ": "
            + e.Message;
    }

    static void Try(SqlConnection c, string what, string text)
    {
        try
        {
            Client.Execute(c, text);
            Client.Say(what + ": no error");
        }
        catch (SqlException error)
        {
            Client.Say(what + ": " + string.Join(" | ", error.Errors.Cast<SqlError>().Select(Shown)) + "; then " + c.State);
        }
    }

    static void Rows(SqlConnection c)
    {
        using (SqlDataReader reader = Client.Command(c, "SELECT 1 AS n; SELECT 1/0 AS n; SELECT 3 AS n").ExecuteReader())
        {
            reader.Read();
            Client.Say("between results: " + Client.Outcome(() => reader.NextResult() && reader.Read() ? reader[0] : "no row")
                + ", " + Client.Outcome(() => reader.NextResult() && reader.Read() ? reader[0] : "no row"));
        }
    }

    static void Messages(SqlConnection c)
    {
        c.InfoMessage += (sender, told) => Client.Say("message: " + string.Join(" | ", told.Errors.Cast<SqlError>().Select(Shown)));
        Try(c, "messages", "PRINT N'olá'; RAISERROR('ten', 10, 3); RAISERROR('at once', 0, 1) WITH NOWAIT");
        c.FireInfoMessageEventOnUserErrors = true;
        Try(c, "errors as messages", "RAISERROR('sixteen', 16, 2); PRINT 'after it'");
        c.FireInfoMessageEventOnUserErrors = false;
    }

    public static void Run()
    {
        using (SqlConnection c = Client.Connect())
        {
            Client.Execute(c, "CREATE OR ALTER PROCEDURE dbo.sqlclient_fails AS BEGIN\n  SET NOCOUNT ON;\n  RAISERROR('one', 11, 7);\n"
                + "  RAISERROR('two', 16, 8);\nEND");
            Try(c, "divided", "\n\nSELECT 1/0 AS n");
            Try(c, "no such object", "SELECT * FROM dbo.nowhere");
            Try(c, "two of a procedure", "EXEC dbo.sqlclient_fails");
            Try(c, "thrown", "THROW 50123, N'ação', 9");
            Try(c, "a constraint", "INSERT INTO dbo.tenants (app_id, name, bucket_id) VALUES (N'APP-000001', N'x', N'x')");
            Try(c, "syntax", "SELEC 1");
            Rows(c);
            Messages(c);
            Client.Say("still good: " + Client.Scalar(c, "SELECT 1 AS n"));
            Try(c, "the end", "RAISERROR('the end', 20, 1) WITH LOG");
        }
        Client.Say("closed");
    }
}
