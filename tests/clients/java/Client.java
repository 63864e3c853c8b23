// Test client: mssql-jdbc and jTDS. The same command line, scenarios and output as the other clients (../README.md).
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;

public final class Client {
    private static final Map<String, String> ARGS = new HashMap<>();
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    static synchronized void say(String text) {
        OUT.println(text);
    }

    private static String arg(String name, String otherwise) {
        return ARGS.getOrDefault(name, otherwise);
    }

    // The server's number and text, without what mssql-jdbc puts in front (an error while rows are read) and behind.
    private static String errorFacts(SQLException error) {
        String text = String.valueOf(error.getMessage()).replaceAll("\\s*ClientConnectionId:\\S+", "")
            .replaceAll("^An error occurred during the current command \\(Done status -?\\d+\\)\\.\\s*", "");
        return "number=" + error.getErrorCode() + " text=" + text.replaceAll("\\s+", " ").trim();
    }

    private static Connection connectMicrosoft(String database) throws SQLException {
        Properties p = new Properties();
        p.put("user", arg("user", ""));
        p.put("password", arg("password", ""));
        p.put("databaseName", database);
        p.put("loginTimeout", arg("login-timeout", "60"));
        p.put("queryTimeout", arg("timeout", "60"));
        p.put("applicationName", "client-jdbc");
        p.put("connectRetryCount", "0");
        String encrypt = arg("encrypt", "login");
        p.put("encrypt", encrypt.equals("strict") ? "strict" : String.valueOf(encrypt.equals("full")));
        if (encrypt.equals("strict")) {
            p.put("serverCertificate", arg("ca-file", ""));
        } else {
            p.put("trustServerCertificate", "true");
        }
        return DriverManager.getConnection("jdbc:sqlserver://" + arg("host", "127.0.0.1") + ":" + arg("port", "1433"), p);
    }

    private static Connection connectJtds(String database) throws SQLException {
        Properties p = new Properties();
        p.put("user", arg("user", ""));
        p.put("password", arg("password", ""));
        p.put("loginTimeout", arg("login-timeout", "60"));
        p.put("socketTimeout", arg("timeout", "60"));
        p.put("appName", "client-jtds");
        p.put("ssl", Map.of("off", "off", "login", "request", "full", "require").get(arg("encrypt", "off")));
        return DriverManager.getConnection("jdbc:jtds:sqlserver://" + arg("host", "127.0.0.1") + ":" + arg("port", "1433")
            + "/" + database, p);
    }

    // The settings that every application must give, the rest as the driver has it.
    private static Connection connectByDefault() throws SQLException {
        boolean jtds = ARGS.get("driver").equals("jtds");
        String server = "sqlserver://" + arg("host", "127.0.0.1") + ":" + arg("port", "1433");
        String encrypt = arg("encrypt", jtds ? "off" : "login");
        String url = jtds
            ? "jdbc:jtds:" + server + "/" + arg("database", "") + (encrypt.equals("off") ? "" : ";ssl=require")
            : "jdbc:" + server + ";databaseName=" + arg("database", "") + ";trustServerCertificate=true;encrypt="
                + encrypt.equals("full");
        return DriverManager.getConnection(url, arg("user", ""), arg("password", ""));
    }

    private static Connection connect() throws SQLException {
        return connect(null);
    }

    private static Connection connect(String another) throws SQLException {
        String database = another == null ? arg("database", "") : another;
        return ARGS.get("driver").equals("jtds") ? connectJtds(database) : connectMicrosoft(database);
    }

    private static Connection connectForMix(String database) throws SQLException {
        Connection c = connect(database);
        if (arg("autocommit", "on").equals("off")) {
            c.setAutoCommit(false);
        }
        return c;
    }

    private static List<List<Object>> query(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            List<List<Object>> rows = new ArrayList<>();
            while (r.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                    row.add(r.getObject(i));
                }
                rows.add(row);
            }
            return rows;
        }
    }

    private static int execute(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            return s.executeUpdate(sql);
        }
    }

    private static String canonical(Object value) {
        if (value == null) {
            return "NULL";
        }
        if (value instanceof Timestamp) {
            return new SimpleDateFormat("yyyy-MM-dd HH:mm:ss.SSS").format((Timestamp) value);
        }
        return value.toString();
    }

    private static String scalar(Connection c, String sql) throws SQLException {
        return canonical(query(c, sql).get(0).get(0));
    }

    private static void selects(Connection c) throws SQLException {
        say("database=" + scalar(c, "SELECT DB_NAME() AS name"));
        say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
        List<Object> t = query(c, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
            + "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x").get(0);
        say("typed int=" + canonical(t.get(0)) + " nvarchar=" + canonical(t.get(1)) + " decimal=" + canonical(t.get(2))
            + " datetime2=" + canonical(t.get(3)) + " null=" + canonical(t.get(4)));
        long sum = 0;
        long characters = 0;
        List<List<Object>> rows = query(c, "SELECT i, name FROM dbo.numbers ORDER BY i");
        for (List<Object> row : rows) {
            sum += ((Number) row.get(0)).longValue();
            characters += row.get(1).toString().codePoints().count();
        }
        say("rows=" + rows.size() + " sum=" + sum + " characters=" + characters);
    }

    private static int insert(Connection c, String mark) throws SQLException {
        try (PreparedStatement s = c.prepareStatement("INSERT INTO dbo.test_table (name, value) VALUES (?, ?); "
                + "SELECT CAST(SCOPE_IDENTITY() AS int) AS id")) {
            s.setString(1, mark);
            s.setInt(2, 1);
            boolean result = s.execute();
            while (!result && s.getUpdateCount() >= 0) {
                result = s.getMoreResults();
            }
            try (ResultSet r = s.getResultSet()) {
                r.next();
                return r.getInt(1);
            }
        }
    }

    private static void writes(Connection c) throws SQLException {
        String mark = ARGS.get("driver") + "-" + ProcessHandle.current().pid();
        String where = " WHERE name = N'" + mark + "'";
        String left = "SELECT COUNT(*) AS n FROM dbo.test_table" + where;
        String identity = String.valueOf(insert(c, mark));
        String found = scalar(c, "SELECT id FROM dbo.test_table" + where);
        say("insert identity=" + (identity.equals(found) ? "match" : identity + " but the row has " + found));
        int updated = execute(c, "UPDATE dbo.test_table SET value = value + 1" + where);
        say("update rows=" + updated + " value=" + scalar(c, "SELECT value FROM dbo.test_table" + where));
        int deleted = execute(c, "DELETE FROM dbo.test_table" + where);
        say("delete rows=" + deleted + " left=" + scalar(c, left));
        c.setAutoCommit(false);
        execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'" + mark + "', 5)");
        c.commit();
        say("commit left=" + scalar(c, left));
        execute(c, "DELETE FROM dbo.test_table" + where);
        c.rollback();
        say("rollback left=" + scalar(c, left));
        c.rollback();
        c.setAutoCommit(true);
        execute(c, "DELETE FROM dbo.test_table" + where);
    }

    private static void requests(Connection c) throws SQLException {
        try (PreparedStatement s = c.prepareStatement("SELECT ? AS n, ? + 1 AS v")) {
            s.setString(1, "ação");
            s.setInt(2, 7);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                say("parameters n=" + r.getString(1) + " v=" + r.getInt(2));
            }
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ? + 1 AS v")) {
            for (int v = 8; v <= 10; v++) {
                s.setInt(1, v);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    say("prepared v=" + r.getInt(1));
                }
            }
        }
        try (CallableStatement s = c.prepareCall("{call sp_get_tenant(?)}")) {
            s.setString(1, "APP-000001");
            try (ResultSet r = s.executeQuery()) {
                r.next();
                say("procedure app_id=" + r.getString("app_id") + " name=" + r.getString("name"));
            }
        }
        try {
            query(c, "SELECT 1/0 AS impossible");
            say("no error");
        } catch (SQLException error) {
            say("error " + errorFacts(error));
        }
        say("after_error=" + scalar(c, "SELECT 1 AS resultado"));
    }

    private static void basic() throws SQLException {
        try (Connection c = connect()) {
            say("connected");
            selects(c);
            writes(c);
            requests(c);
        }
        say("closed");
    }

    private static void login() throws SQLException {
        try (Connection c = connect()) {
            say("connected");
            say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
        }
        say("closed");
    }

    private static void hold() throws SQLException, InterruptedException {
        try (Connection c = connect()) {
            say("held spid=" + scalar(c, "SELECT @@SPID AS spid"));
            Thread.sleep(Long.parseLong(arg("hold", "0")));
            say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
        }
        say("closed");
    }

    // With autocommit off: an INSERT, a pause, a look at it, and back.
    private static void uncommitted() throws SQLException, InterruptedException {
        String count = "SELECT COUNT(*) AS n FROM dbo.test_table WHERE value = 4711";
        try (Connection c = connect()) {
            c.setAutoCommit(false);
            execute(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'uncommitted', 4711)");
            Thread.sleep(Long.parseLong(arg("hold", "0")));
            String seen = scalar(c, count);
            c.rollback();
            say("uncommitted=" + seen + " left=" + scalar(c, count));
            c.rollback();
        }
        say("closed");
    }

    private static void startup() throws SQLException, InterruptedException {
        try (Connection c = connectByDefault()) {
            say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
            Thread.sleep(Long.parseLong(arg("hold", "0")));
        }
        say("closed");
    }

    // One statement as a prepared one, three times: by then it has a handle, where the driver uses those.
    private static void askOne(Connection c, String sql) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            boolean rows = false;
            for (int i = 0; i < 3; i++) {
                rows = s.execute();
                for (ResultSet unread = i < 2 && rows ? s.getResultSet() : null; unread != null && unread.next(); ) {
                    continue;
                }
            }
            if (!rows) {
                return;
            }
            ResultSet r = s.getResultSet();
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                row.add(r.getMetaData().getColumnLabel(i));
            }
            say("# " + String.join("\t", row));
            while (r.next()) {
                row.clear();
                for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                    row.add(canonical(r.getObject(i)));
                }
                say("= " + String.join("\t", row));
            }
        }
    }

    // The statements of a file on one connection: columns and rows of each, or its error.
    private static void ask() throws SQLException, IOException {
        try (Connection c = connectByDefault()) {
            c.setAutoCommit(!arg("autocommit", "on").equals("off"));
            for (String statement : Files.readAllLines(Path.of(arg("ask", "")))) {
                say("> " + statement);
                try {
                    askOne(c, statement);
                } catch (SQLException error) {
                    say("! " + errorFacts(error).replaceFirst("^number=(-?\\d+) text=", "$1 "));
                }
            }
            if (!c.getAutoCommit()) {
                c.commit();
            }
        }
        say("closed");
    }

    private static void catalog() throws SQLException {
        try (Connection c = connectByDefault()) {
            Catalog.run(c);
        }
        say("closed");
    }

    private static boolean mix() throws IOException, InterruptedException {
        boolean[] good = {false};
        say(Mix.run(ARGS.get("driver"), Client::connectForMix, arg("plan", ""), Long.parseLong(arg("think", "0")), good));
        return good[0];
    }

    private static boolean runOne(String scenario) {
        try {
            switch (scenario) {
                case "basic": basic(); break;
                case "hold": hold(); break;
                case "uncommitted": uncommitted(); break;
                case "startup": startup(); break;
                case "ask": ask(); break;
                case "catalog": catalog(); break;
                default: login(); break;
            }
            return true;
        } catch (SQLException error) {
            say("ERROR " + errorFacts(error));
        } catch (InterruptedException | IOException | RuntimeException error) {
            say("ERROR number=0 text=" + error);
        }
        return false;
    }

    public static void main(String[] argv) throws IOException, InterruptedException {
        ARGS.put("driver", argv[0]);
        for (int i = 1; i + 1 < argv.length; i += 2) {
            ARGS.put(argv[i].substring(2), argv[i + 1]);
        }
        String scenario = arg("scenario", "login");
        if (scenario.equals("mix")) {
            System.exit(mix() ? 0 : 3);
        }
        int times = scenario.equals("hold") || scenario.equals("startup") ? Integer.parseInt(arg("count", "1")) : 1;
        AtomicInteger failures = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < times; i++) {
            Thread thread = new Thread(() -> {
                if (!runOne(scenario)) {
                    failures.incrementAndGet();
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.exit(failures.get() > 0 ? 3 : 0);
    }
}
