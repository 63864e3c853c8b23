// Scenario `keywords`: words of the connection string that change what goes over the wire.
using System;
using System.Data.SqlClient;

static class Keywords
{
    static void Try(string what, Action<SqlConnectionStringBuilder> change, Func<SqlConnection, object> look = null)
    {
        SqlConnectionStringBuilder s = Client.Address();
        s.Pooling = false;
        change(s);
        Client.Say(what + ": " + Client.Outcome(() =>
        {
            using (SqlConnection c = Client.Opened(s))
            {
                return c.Database + ", " + c.ServerVersion + ", " + (look == null ? Client.Scalar(c, "SELECT 1 AS n") : look(c));
            }
        }));
    }

    // A request and an answer that take many packets, or just one.
    static object Through(SqlConnection c)
    {
        string text = new string('ç', 20000);
        return c.PacketSize + " " + (Client.Scalar(c, "SELECT N'" + text + "' AS t") == text ? "equal" : "not equal");
    }

    public static void Run()
    {
        foreach (int size in new[] { 512, 4096, 8000, 32767 })
        {
            int asked = size;
            Try("Packet Size " + asked, s => s.PacketSize = asked, Through);
        }
        Try("ApplicationIntent", s => s.ApplicationIntent = ApplicationIntent.ReadOnly);
        Try("MultiSubnetFailover", s => s.MultiSubnetFailover = true);
        Try("Failover Partner", s => s.FailoverPartner = s.DataSource);
        Try("Workstation ID, Application Name", s => { s.WorkstationID = "cliente"; s.ApplicationName = "aplicação"; });
        Try("Current Language", s => s.CurrentLanguage = "French",
            c => Client.Scalar(c, "SELECT CONCAT(@@LANGUAGE, ' ', @@DATEFIRST) AS s"));
        Try("Type System Version", s => s.TypeSystemVersion = "SQL Server 2008");
        Try("Connect Timeout", s => s.ConnectTimeout = 2);
        Try("Enlist, Persist Security Info", s => { s.Enlist = false; s.PersistSecurityInfo = true; });
        Try("a wrong password", s => s.Password = "wrong");
        Try("no such database", s => { s.InitialCatalog = "nowhere"; s.ConnectRetryCount = 0; }); // else tried again, 10 s later
        Client.Say("closed");
    }
}
