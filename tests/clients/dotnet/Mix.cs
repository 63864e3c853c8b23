// Scenario `mix` with SqlClient: plays the plan of ../mix.py on many connections at once and compares every answer.
using System;
using System.Collections.Generic;
using System.Data;
using System.Data.SqlClient;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

// What all connections count together.
sealed class Tally
{
    readonly SortedDictionary<string, int> operations = new SortedDictionary<string, int>();
    int connections, requests, checks, wrong, errors;
    string first = "";

    public bool Good
    {
        get { return errors == 0 && wrong == 0; }
    }

    public void Connected()
    {
        Interlocked.Increment(ref connections);
    }

    public void Request()
    {
        Interlocked.Increment(ref requests);
    }

    public void Operation(string kind)
    {
        lock (this)
        {
            int count;
            operations.TryGetValue(kind, out count);
            operations[kind] = count + 1;
        }
    }

    public void Check(bool good, string text)
    {
        lock (this)
        {
            checks++;
            wrong += good ? 0 : 1;
            first = good || first != "" ? first : text;
        }
    }

    public void Error(string text)
    {
        lock (this)
        {
            errors++;
            first = first == "" ? text : first;
        }
    }

    static string Quoted(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
        {
            quoted.Append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? "\\u" + ((int)c).ToString("x4") : c.ToString());
        }
        return quoted.Append('"').ToString();
    }

    public string Report(string driver)
    {
        string kinds = string.Join(", ", operations.Select(kind => Quoted(kind.Key) + ": " + kind.Value));
        return "{\"driver\": " + Quoted(driver) + ", \"connections\": " + connections + ", \"operations\": {" + kinds
            + "}, \"requests\": " + requests + ", \"checks\": " + checks + ", \"wrong\": " + wrong + ", \"errors\": " + errors
            + ", \"first\": " + Quoted(first) + "}";
    }
}

// The rows of all results of a request, and how many rows its statements without rows affected.
sealed class Answer
{
    public readonly List<object[]> Rows = new List<object[]>();
    public readonly int Affected;

    public Answer(SqlCommand command)
    {
        using (SqlDataReader reader = command.ExecuteReader())
        {
            do
            {
                while (reader.Read())
                {
                    Rows.Add(Client.Row(reader));
                }
            } while (reader.NextResult());
            reader.Close();
            Affected = reader.RecordsAffected;
        }
    }
}

// One connection.
sealed class Player
{
    const char US = '\u001f', RS = '\u001e';
    static readonly Regex CapturedName = new Regex("\\{(\\w+)\\}");

    readonly SqlConnection connection;
    readonly Tally tally;
    readonly Dictionary<string, string> captured = new Dictionary<string, string>();
    readonly Dictionary<string, SqlCommand> prepared = new Dictionary<string, SqlCommand>();
    readonly Stack<SqlCommand> done = new Stack<SqlCommand>(); // their handles are handed to the next sp_prepexec
    SqlTransaction transaction;
    string owner = "";

    public Player(SqlConnection connection, Tally tally)
    {
        this.connection = connection;
        this.tally = tally;
    }

    string Text(string text)
    {
        return CapturedName.Replace(text, found => captured[found.Groups[1].Value]);
    }

    object Value(string word)
    {
        switch (word[0])
        {
            case 'n': return DBNull.Value;
            case 's': return word.Substring(1);
            case '$': return int.Parse(captured[word.Substring(1)]);
            default: return int.Parse(word.Substring(1));
        }
    }

    static void Add(SqlCommand command, string name, object value)
    {
        if (value is int)
        {
            command.Parameters.Add(name, SqlDbType.Int).Value = value;
        }
        else
        {
            command.Parameters.Add(name, SqlDbType.NVarChar, 60).Value = value;
        }
    }

    SqlCommand Command(string text)
    {
        return Client.Command(connection, text, transaction);
    }

    bool Fits(string cell, object value)
    {
        string name = cell.Substring(1), text = Client.Canonical(value), kept;
        bool there = !(value is DBNull);
        switch (cell[0])
        {
            case '>': captured[name] = text; return there;
            case 'n': return !there;
            case '$': return there && captured.TryGetValue(name, out kept) && text == kept;
            default: return there && text == name;
        }
    }

    void Check(string[] step, bool good, object got)
    {
        tally.Check(good, good ? "" : "owner " + owner + ": " + string.Join(" ", step) + ": got " + got);
    }

    void Compare(string[] step, string expected, Answer got)
    {
        if (expected[0] == '#')
        {
            Check(step, got.Affected == int.Parse(expected.Substring(1)), got.Affected);
        }
        else if (expected[0] == '=')
        {
            CompareRows(step, expected.Substring(1), got.Rows);
        }
    }

    void CompareRows(string[] step, string wanted, List<object[]> rows)
    {
        string[] cells = wanted == "" ? new string[0] : wanted.Split(RS);
        bool good = cells.Length == rows.Count;
        for (int i = 0; good && i < cells.Length; i++)
        {
            string[] row = cells[i].Split(US);
            good = row.Length == rows[i].Length;
            for (int j = 0; good && j < row.Length; j++)
            {
                good = Fits(row[j], rows[i][j]);
            }
        }
        Check(step, good, string.Join("; ", rows.Select(row => string.Join(", ", row.Select(Client.Canonical)))));
    }

    Answer Batch(string text)
    {
        using (SqlCommand command = Command(text))
        {
            return new Answer(command);
        }
    }

    Answer Ask(string text, string values)
    {
        using (SqlCommand command = Command(text))
        {
            int number = 0;
            foreach (string word in values.Split(US))
            {
                Add(command, "@p" + ++number, Value(word));
            }
            return new Answer(command);
        }
    }

    void Prepare(string name, string text, string types)
    {
        SqlCommand command = done.Count > 0 ? done.Pop() : Command("");
        command.CommandText = text;
        command.Transaction = transaction;
        command.Parameters.Clear();
        for (int i = 0; i < types.Length; i++)
        {
            Add(command, "@p" + (i + 1), types[i] == 'i' ? (object)0 : "");
        }
        command.Prepare();
        prepared[name] = command;
    }

    void RunPrepared(string[] step)
    {
        SqlCommand command = prepared[step[1]];
        command.Transaction = transaction;
        string[] words = step[2].Split(US);
        for (int i = 0; i < words.Length; i++)
        {
            command.Parameters[i].Value = Value(words[i]);
        }
        Compare(step, step[3], new Answer(command));
    }

    void Unprepare(string name)
    {
        done.Push(prepared[name]);
        prepared.Remove(name);
    }

    void Call(string[] step)
    {
        using (SqlCommand command = Command(step[1]))
        {
            command.CommandType = CommandType.StoredProcedure;
            SqlParameter status = command.Parameters.Add("@status", SqlDbType.Int);
            status.Direction = ParameterDirection.ReturnValue;
            SqlParameter output = command.Parameters.Add("@" + step[5], SqlDbType.Int);
            output.Direction = ParameterDirection.Output;
            string[] names = step[2].Split(','), words = step[3].Split(US);
            for (int i = 0; i < names.Length; i++)
            {
                Add(command, "@" + names[i], Value(words[i]));
            }
            CompareRows(step, step[4].Substring(1), new Answer(command).Rows);
            Check(step, Fits(step[6], output.Value), output.Value);
            Check(step, Fits(step[7], status.Value), status.Value);
        }
    }

    void Fail(string[] step)
    {
        int number = 0;
        try
        {
            Batch(step[1]);
        }
        catch (SqlException error)
        {
            number = error.Number;
        }
        Check(step, number == int.Parse(step[2]), number);
    }

    void End(Action<SqlTransaction> how)
    {
        how(transaction);
        transaction.Dispose();
        transaction = null;
    }

    void Do(string[] step)
    {
        switch (step[0])
        {
            case "batch": Compare(step, step[2], Batch(Text(step[1]))); break;
            case "ask": Compare(step, step[3], Ask(Text(step[1]), step[2])); break;
            case "prepare": Prepare(step[1], step[2], step[3]); break;
            case "run": RunPrepared(step); break;
            case "unprepare": Unprepare(step[1]); break;
            case "begin": transaction = connection.BeginTransaction(); break;
            case "commit": End(one => one.Commit()); break;
            case "rollback": End(one => one.Rollback()); break;
            case "save": transaction.Save(step[1]); break;
            case "back": transaction.Rollback(step[1]); break;
            case "call": Call(step); break;
            case "fail": Fail(step); break;
            default: throw new ArgumentException("the plan has a step " + step[0]);
        }
        tally.Request();
    }

    void Operation(string kind)
    {
        if (kind != "verify")
        {
            tally.Operation(kind);
        }
        Thread.Sleep(int.Parse(Client.Arg("think", "0")));
    }

    public void Play(List<string[]> steps)
    {
        foreach (string[] step in steps)
        {
            try
            {
                switch (step[0])
                {
                    case "client": owner = step[1]; break;
                    case "operation": Operation(step[1]); break;
                    case "wait": Client.Await(step[1]); break;
                    default: Do(step); break;
                }
            }
            catch (Exception error)
            {
                tally.Error("owner " + owner + ": " + string.Join(" ", step) + ": " + error);
                return;
            }
        }
    }
}

static class Mix
{
    static List<List<string[]>> ReadPlan(string path)
    {
        var connections = new List<List<string[]>>();
        foreach (string line in File.ReadAllText(path).TrimEnd('\n').Split('\n'))
        {
            string[] fields = line.Split('\t');
            if (fields[0] == "client")
            {
                connections.Add(new List<string[]>());
            }
            connections[connections.Count - 1].Add(fields);
        }
        return connections;
    }

    static void PlayOne(List<string[]> steps, Tally tally, CountdownEvent connecting)
    {
        SqlConnection connection = null;
        try
        {
            connection = Client.Connect(steps[0].Length > 2 ? steps[0][2] : null);
            tally.Connected();
        }
        catch (Exception error)
        {
            tally.Error("connect: " + error);
        }
        connecting.Signal();
        if (connection == null)
        {
            return;
        }
        using (connection)
        {
            connecting.Wait(); // none begins before all are connected
            new Player(connection, tally).Play(steps);
        }
    }

    // Whether nothing failed and every answer was right.
    public static bool Run(string driver)
    {
        var tally = new Tally();
        List<List<string[]>> connections = ReadPlan(Client.Arg("plan", ""));
        var connecting = new CountdownEvent(connections.Count);
        List<Thread> threads =
            connections.Select(steps => new Thread(() => PlayOne(steps, tally, connecting))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Client.Say(tally.Report(driver));
        return tally.Good;
    }
}
