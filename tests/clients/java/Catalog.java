// Scenario `catalog`: what java.sql.DatabaseMetaData says, as tools with an object tree ask it.
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

final class Catalog {
    private Catalog() {
    }

    private static void rows(String name, ResultSet given) throws SQLException {
        Client.say("> " + name);
        try (ResultSet r = given) {
            while (r.next()) {
                List<String> row = new ArrayList<>();
                for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                    row.add(String.valueOf(r.getString(i)).replaceAll("\\s", " "));
                }
                Client.say("= " + String.join("\t", row));
            }
        }
    }

    static void run(Connection c) throws SQLException {
        DatabaseMetaData md = c.getMetaData();
        String database = c.getCatalog();
        Client.say("> product");
        Client.say("= " + md.getDatabaseProductName() + "\t" + md.getDatabaseProductVersion() + "\t" + md.getUserName());
        rows("catalogs", md.getCatalogs());
        rows("schemas", md.getSchemas());
        rows("table types", md.getTableTypes());
        rows("tables", md.getTables(database, null, "%", null));
        rows("tables like po%", md.getTables(database, "dbo", "po%", new String[] {"TABLE", "VIEW"}));
        rows("tables of type TABLE", md.getTables(database, null, "%", new String[] {"TABLE"}));
        rows("columns of pools", md.getColumns(database, "dbo", "pools", "%"));
        rows("types", md.getTypeInfo());
        rows("primary keys of pools", md.getPrimaryKeys(database, "dbo", "pools"));
        rows("indexes of pools", md.getIndexInfo(database, "dbo", "pools", false, true));
        rows("foreign keys of pools", md.getImportedKeys(database, "dbo", "pools"));
        rows("best row of pools", md.getBestRowIdentifier(database, "dbo", "pools", DatabaseMetaData.bestRowSession, true));
        rows("procedures", md.getProcedures(database, null, "%"));
        rows("procedure columns", md.getProcedureColumns(database, null, "%", "%"));
        rows("table privileges", md.getTablePrivileges(database, "dbo", "pools"));
        rows("shown", c.createStatement().executeQuery("SELECT * FROM pools"));
    }
}
