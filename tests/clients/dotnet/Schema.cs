// Scenario `schema`: what SqlClient asks the server about itself on behalf of tools and data adapters.
using System;
using System.Data;
using System.Data.SqlClient;
using System.Linq;

static class Schema
{
    static string Names(SqlConnection c, string collection, string column, params string[] restrictions)
    {
        return Client.Outcome(() => string.Join(" ", c.GetSchema(collection, restrictions).Rows.Cast<DataRow>()
            .Select(row => row[column].ToString()).OrderBy(name => name, StringComparer.Ordinal)));
    }

    static void Collections(SqlConnection c)
    {
        Client.Say("collections: " + (c.GetSchema().Rows.Count > 10));
        Client.Say("databases: " + (Names(c, "Databases", "database_name").Split(' ').Contains("tenant_db") ? "tenant_db" : "none"));
        Client.Say("tables: " + Names(c, "Tables", "TABLE_NAME", null, null, "numbers"));
        Client.Say("columns: " + Names(c, "Columns", "COLUMN_NAME", null, null, "tenants"));
    }

    static void Derived(SqlConnection c)
    {
        Client.Say("parameters: " + Client.Outcome(() =>
        {
            using (SqlCommand command = Client.Command(c, "dbo.mix_put"))
            {
                command.CommandType = CommandType.StoredProcedure;
                SqlCommandBuilder.DeriveParameters(command);
                return string.Join(", ", command.Parameters.Cast<SqlParameter>().Select(p => p.ParameterName + " " + p.SqlDbType
                    + " " + p.Direction + " " + p.Size));
            }
        }));
    }

    // A builder makes the statements from what KeyInfo tells of the columns.
    static void Adapter(SqlConnection c)
    {
        Client.Execute(c, "DELETE FROM dbo.test_table WHERE name LIKE N'adapter%'; INSERT INTO dbo.test_table (name, value) "
            + "VALUES (N'adapter 1', 1), (N'adapter 2', 2), (N'adapter 3', 3)");
        using (var adapter = new SqlDataAdapter("SELECT id, name, value FROM dbo.test_table WHERE name LIKE N'adapter%' ORDER BY value", c))
        using (var builder = new SqlCommandBuilder(adapter))
        {
            var table = new DataTable();
            adapter.Fill(table);
            table.Rows[0]["value"] = 10;
            table.Rows[1].Delete();
            table.Rows.Add(null, "adapter 4", 4);
            Client.Say("adapter: " + Client.Outcome(() => adapter.Update(table)) + " rows, "
                + Client.Scalar(c, "SELECT CONCAT(COUNT(*), ' ', SUM(value)) AS s FROM dbo.test_table WHERE name LIKE N'adapter%'"));
        }
    }

    public static void Run()
    {
        using (SqlConnection c = Client.Connect())
        {
            Collections(c);
            Derived(c);
            Adapter(c);
        }
        Client.Say("closed");
    }
}
