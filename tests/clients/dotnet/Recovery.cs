// Scenario `recovery`: connection resiliency (ConnectRetryCount). A connection that is lost while it is idle is made again, with
// its state, where the server has agreed to that at login; else the next request fails, and the one after it runs on a new one.
using System;
using System.Data.SqlClient;

static class Recovery
{
    const string State = "SELECT CONCAT(@@DATEFIRST, ' ', @@LOCK_TIMEOUT, ' ', DB_NAME()) AS s";

    static SqlConnection Open(int retries, bool pooling)
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.ApplicationName = "client-sqlclient-recovery";
        s.ConnectRetryCount = retries;
        s.ConnectRetryInterval = 1;
        s.Pooling = pooling;
        return Client.Opened(s);
    }

    static void Lost(string word, SqlConnection c)
    {
        using (c)
        {
            Client.Execute(c, "SET DATEFIRST 3; SET LOCK_TIMEOUT 1234; USE master");
            Client.Say(word + ": " + Client.Scalar(c, State));
            Client.Await(word);
            Client.Say(word + ", lost: " + Client.Outcome(() => Client.Scalar(c, State)));
            if (c.State != System.Data.ConnectionState.Open)
            {
                c.Open();
                Client.Say(word + ", opened again: " + Client.Outcome(() => Client.Scalar(c, State)));
            }
        }
    }

    public static void Run()
    {
        Lost("retries", Open(3, false));
        Lost("pooled", Open(3, true));
        Lost("none", Open(0, false));
        SqlConnection.ClearAllPools();
        Client.Say("closed");
    }
}
