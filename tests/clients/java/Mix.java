// Scenario `mix` with mssql-jdbc and jTDS: plays the plan of ../mix.py on many connections at once and compares every answer.
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Pattern;

final class Mix {
    private static final String US = "\u001f";
    private static final String RS = "\u001e";
    private static final Pattern CAPTURED = Pattern.compile("\\{(\\w+)\\}");

    /** How Client connects. */
    interface Connector {
        /** `database`: null where it is the program's. */
        Connection connect(String database) throws SQLException;
    }

    /** What all connections count together. */
    private static final class Tally {
        private final Map<String, Integer> operations = new TreeMap<>();
        private int connections;
        private int requests;
        private int checks;
        private int wrong;
        private int errors;
        private String first = "";

        synchronized void connected() {
            connections++;
        }

        synchronized void operation(String kind) {
            operations.merge(kind, 1, Integer::sum);
        }

        synchronized void request() {
            requests++;
        }

        synchronized void check(boolean good, String text) {
            checks++;
            if (!good) {
                wrong++;
                first = first.isEmpty() ? text : first;
            }
        }

        synchronized void error(String text) {
            errors++;
            first = first.isEmpty() ? text : first;
        }

        private static String quoted(String text) {
            StringBuilder out = new StringBuilder("\"");
            for (char c : text.toCharArray()) {
                out.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
            }
            return out.append('"').toString();
        }

        String report(String driver) {
            List<String> kinds = new ArrayList<>();
            operations.forEach((kind, count) -> kinds.add(quoted(kind) + ": " + count));
            return "{\"driver\": " + quoted(driver) + ", \"connections\": " + connections + ", \"operations\": {"
                + String.join(", ", kinds) + "}, \"requests\": " + requests + ", \"checks\": " + checks + ", \"wrong\": " + wrong
                + ", \"errors\": " + errors + ", \"first\": " + quoted(first) + "}";
        }
    }

    /** The rows of all results of a request, and how many rows its last statement without rows affected. */
    private static final class Answer {
        private final List<List<Object>> rows = new ArrayList<>();
        private int affected = -1;
    }

    /** One connection. */
    private static final class Player {
        private final Connection connection;
        private final Tally tally;
        private final long think;
        private final String plan;
        private final boolean autocommit;
        private final Map<String, String> captured = new HashMap<>();
        private final Map<String, PreparedStatement> prepared = new HashMap<>();
        private final Map<String, Savepoint> savepoints = new HashMap<>();
        private String owner = "";

        Player(Connection connection, Tally tally, long think, String plan) throws SQLException {
            this.connection = connection;
            this.tally = tally;
            this.think = think;
            this.plan = plan;
            this.autocommit = connection.getAutoCommit();
        }

        private String text(String text) {
            return CAPTURED.matcher(text).replaceAll(found -> captured.get(found.group(1)));
        }

        private static String marks(String text) {
            return text.replaceAll("@p\\d+\\b", "?");
        }

        private void bind(PreparedStatement s, int from, String field) throws SQLException {
            String[] words = field.split(US, -1);
            for (int i = 0; i < words.length; i++) {
                String word = words[i];
                switch (word.charAt(0)) {
                    case 'n': s.setString(from + i, null); break;
                    case 's': s.setString(from + i, word.substring(1)); break;
                    case '$': s.setInt(from + i, Integer.parseInt(captured.get(word.substring(1)))); break;
                    default: s.setInt(from + i, Integer.parseInt(word.substring(1))); break;
                }
            }
        }

        private static Answer answer(Statement s, boolean hasRows) throws SQLException {
            Answer all = new Answer();
            for (boolean rows = hasRows;; rows = s.getMoreResults()) {
                if (rows) {
                    read(s, all.rows);
                } else if (s.getUpdateCount() < 0) {
                    return all;
                } else {
                    all.affected = s.getUpdateCount();
                }
            }
        }

        private static void read(Statement s, List<List<Object>> all) throws SQLException {
            try (ResultSet r = s.getResultSet()) {
                int columns = r.getMetaData().getColumnCount();
                while (r.next()) {
                    List<Object> row = new ArrayList<>();
                    for (int i = 1; i <= columns; i++) {
                        row.add(r.getObject(i));
                    }
                    all.add(row);
                }
            }
        }

        private boolean fits(String cell, Object value) {
            String name = cell.substring(1);
            switch (cell.charAt(0)) {
                case '>': captured.put(name, String.valueOf(value)); return value != null;
                case 'n': return value == null;
                case '$': return value != null && value.toString().equals(captured.get(name));
                default: return value != null && value.toString().equals(name);
            }
        }

        private void check(String[] step, boolean good, Object got) {
            tally.check(good, good ? "" : "owner " + owner + ": " + String.join(" ", step) + ": got " + got);
        }

        private void compare(String[] step, String expected, Answer got) {
            if (expected.startsWith("#")) {
                check(step, got.affected == Integer.parseInt(expected.substring(1)), got.affected);
            } else if (expected.startsWith("=")) {
                compareRows(step, expected.substring(1), got.rows);
            }
        }

        private void compareRows(String[] step, String wanted, List<List<Object>> rows) {
            String[] cells = wanted.isEmpty() ? new String[0] : wanted.split(RS, -1);
            boolean good = cells.length == rows.size();
            for (int i = 0; good && i < cells.length; i++) {
                String[] row = cells[i].split(US, -1);
                good = row.length == rows.get(i).size();
                for (int j = 0; good && j < row.length; j++) {
                    good = fits(row[j], rows.get(i).get(j));
                }
            }
            check(step, good, rows);
        }

        private Answer batch(String text) throws SQLException {
            try (Statement s = connection.createStatement()) {
                return answer(s, s.execute(text));
            }
        }

        private Answer ask(String text, String values) throws SQLException {
            try (PreparedStatement s = connection.prepareStatement(marks(text))) {
                bind(s, 1, values);
                return answer(s, s.execute());
            }
        }

        private void runPrepared(String[] step) throws SQLException {
            PreparedStatement s = prepared.get(step[1]);
            bind(s, 1, step[2]);
            compare(step, step[3], answer(s, s.execute()));
        }

        private void call(String[] step) throws SQLException {
            int inputs = step[2].split(",").length;
            try (CallableStatement s = connection.prepareCall("{? = call " + step[1] + "(?" + ", ?".repeat(inputs) + ")}")) {
                s.registerOutParameter(1, Types.INTEGER);
                s.registerOutParameter(2, Types.INTEGER);
                bind(s, 3, step[3]);
                compareRows(step, step[4].substring(1), answer(s, s.execute()).rows);
                Object output = s.getObject(2);
                check(step, fits(step[6], output), output);
                check(step, fits(step[7], s.getInt(1)), s.getInt(1));
            }
        }

        private void fail(String[] step) {
            int number = 0;
            try {
                batch(step[1]);
            } catch (SQLException error) {
                number = error.getErrorCode();
            }
            check(step, number == Integer.parseInt(step[2]), number);
        }

        private void end(boolean commit) throws SQLException {
            if (commit) {
                connection.commit();
            } else {
                connection.rollback();
            }
            savepoints.clear();
            connection.setAutoCommit(autocommit);
        }

        private void step(String[] step) throws SQLException {
            switch (step[0]) {
                case "batch": compare(step, step[2], batch(text(step[1]))); break;
                case "ask": compare(step, step[3], ask(text(step[1]), step[2])); break;
                case "prepare": prepared.put(step[1], connection.prepareStatement(marks(step[2]))); break;
                case "run": runPrepared(step); break;
                case "unprepare": prepared.remove(step[1]).close(); break;
                case "begin": connection.setAutoCommit(false); break;
                case "commit": end(true); break;
                case "rollback": end(false); break;
                case "save": savepoints.put(step[1], connection.setSavepoint(step[1])); break;
                case "back": connection.rollback(savepoints.get(step[1])); break;
                case "call": call(step); break;
                case "fail": fail(step); break;
                default: throw new IllegalArgumentException("the plan has a step " + step[0]);
            }
        }

        private void await(String word) throws InterruptedException {
            Client.say("waiting " + word);
            while (!Files.exists(Path.of(plan + "." + word))) {
                Thread.sleep(200);
            }
        }

        private void operation(String kind) throws InterruptedException {
            if (!kind.equals("verify")) {
                tally.operation(kind);
            }
            Thread.sleep(think);
        }

        void play(List<String[]> steps) throws InterruptedException {
            for (String[] step : steps) {
                if (step[0].equals("client")) {
                    owner = step[1];
                } else if (step[0].equals("operation")) {
                    operation(step[1]);
                } else if (step[0].equals("wait")) {
                    await(step[1]);
                } else {
                    try {
                        step(step);
                        tally.request();
                    } catch (SQLException | RuntimeException error) {
                        tally.error("owner " + owner + ": " + String.join(" ", step) + ": " + error);
                        return;
                    }
                }
            }
        }
    }

    private static List<List<String[]>> readPlan(String path) throws IOException {
        List<List<String[]>> connections = new ArrayList<>();
        for (String line : Files.readString(Path.of(path), StandardCharsets.UTF_8).split("\n")) {
            String[] fields = line.split("\t", -1);
            if (fields[0].equals("client")) {
                connections.add(new ArrayList<>());
            }
            connections.get(connections.size() - 1).add(fields);
        }
        return connections;
    }

    private static void playOne(Connector how, List<String[]> steps, Tally tally, long think, String plan,
            CountDownLatch connecting) {
        Connection connection = null;
        try {
            connection = how.connect(steps.get(0).length > 2 ? steps.get(0)[2] : null);
            tally.connected();
        } catch (SQLException | RuntimeException error) {
            tally.error("connect: " + error);
        }
        connecting.countDown();
        if (connection == null) {
            return;
        }
        try (Connection c = connection) {
            connecting.await(); // none begins before all are connected
            new Player(c, tally, think, plan).play(steps);
        } catch (SQLException | InterruptedException error) {
            tally.error("close: " + error);
        }
    }

    /** The line to print; `good` is set when nothing failed and every answer was right. */
    static String run(String driver, Connector how, String plan, long think, boolean[] good) throws IOException, InterruptedException {
        Tally tally = new Tally();
        List<List<String[]>> connections = readPlan(plan);
        CountDownLatch connecting = new CountDownLatch(connections.size());
        List<Thread> threads = new ArrayList<>();
        for (List<String[]> steps : connections) {
            Thread thread = new Thread(() -> playOne(how, steps, tally, think, plan, connecting));
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        good[0] = tally.errors == 0 && tally.wrong == 0;
        return tally.report(driver);
    }

    private Mix() {
    }
}
