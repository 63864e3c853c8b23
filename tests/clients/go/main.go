// Test client: go-mssqldb. The same command line, scenarios and output as the other clients (../README.md).
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	mssql "github.com/microsoft/go-mssqldb"
)

var (
	host         = flag.String("host", "127.0.0.1", "")
	port         = flag.Int("port", 1433, "")
	user         = flag.String("user", "", "")
	password     = flag.String("password", "", "")
	database     = flag.String("database", "", "")
	encrypt      = flag.String("encrypt", "off", "off, login, full or strict")
	scenario     = flag.String("scenario", "login", "basic, login, hold, startup or mix")
	count        = flag.Int("count", 1, "hold, startup: connections at once")
	hold         = flag.Int("hold", 0, "milliseconds")
	loginTimeout = flag.Int("login-timeout", 60, "seconds")
	timeout      = flag.Int("timeout", 60, "seconds, of a query")
	caFile       = flag.String("ca-file", "", "")
	planFile     = flag.String("plan", "", "mix: the file that run-client made")
	think        = flag.Int("think", 0, "mix: pause before each operation, milliseconds")
	outputLock   sync.Mutex
)

func say(format string, args ...any) {
	outputLock.Lock()
	defer outputLock.Unlock()
	fmt.Printf(format+"\n", args...)
}

// errorFacts returns the server's number, or 0 when the error is the driver's own.
func errorFacts(err error) (int32, string) {
	var server mssql.Error
	if errors.As(err, &server) {
		if len(server.All) > 0 {
			server = server.All[0]
		}
		return server.Number, server.Message
	}
	return 0, strings.Join(strings.Fields(err.Error()), " ")
}

// address is what an application must give; settings has the rest.
func address(settings map[string]string) (string, error) {
	mode, known := map[string]string{"off": "disable", "login": "false", "full": "true", "strict": "strict"}[*encrypt]
	if !known {
		return "", fmt.Errorf("no encryption mode %s", *encrypt)
	}
	query := url.Values{}
	query.Set("encrypt", mode)
	query.Set("database", *database)
	for key, value := range settings {
		query.Set(key, value)
	}
	if *caFile != "" {
		query.Set("certificate", *caFile)
		query.Set("hostNameInCertificate", "localhost")
	} else if *encrypt != "off" {
		query.Set("TrustServerCertificate", "true")
	}
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(*user, *password), Host: fmt.Sprintf("%s:%d", *host, *port),
		RawQuery: query.Encode()}
	return u.String(), nil
}

type client struct {
	pool *sql.DB
	conn *sql.Conn
	ctx  context.Context
	stop context.CancelFunc
}

// connect opens a connection to the given database, or to that of the command line.
func connect(databases ...string) (*client, error) {
	settings := map[string]string{"app name": "client-go", "dial timeout": fmt.Sprint(*loginTimeout),
		"connection timeout": fmt.Sprint(*timeout)}
	for _, name := range databases {
		settings["database"] = name
	}
	dsn, err := address(settings)
	if err != nil {
		return nil, err
	}
	pool, err := sql.Open("sqlserver", dsn)
	if err != nil {
		return nil, err
	}
	login, cancel := context.WithTimeout(context.Background(), time.Duration(*loginTimeout)*time.Second)
	defer cancel()
	conn, err := pool.Conn(login)
	if err != nil {
		pool.Close()
		return nil, err
	}
	all := time.Duration(*timeout)*time.Second + time.Duration(*hold)*time.Millisecond
	ctx, stop := context.WithTimeout(context.Background(), all)
	return &client{pool, conn, ctx, stop}, nil
}

func (c *client) close() {
	c.conn.Close()
	c.pool.Close()
	c.stop()
}

func (c *client) number(query string, args ...any) (n int64, err error) {
	err = c.conn.QueryRowContext(c.ctx, query, args...).Scan(&n)
	return n, err
}

func (c *client) affected(query string, args ...any) (int64, error) {
	result, err := c.conn.ExecContext(c.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *client) selects() error {
	var name string
	if err := c.conn.QueryRowContext(c.ctx, "SELECT DB_NAME() AS name").Scan(&name); err != nil {
		return err
	}
	say("database=%s", name)
	one, err := c.number("SELECT 1 AS resultado")
	if err != nil {
		return err
	}
	say("resultado=%d", one)
	var i int
	var n, d string
	var t time.Time
	var x sql.NullInt64
	err = c.conn.QueryRowContext(c.ctx, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "+
		"CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x").Scan(&i, &n, &d, &t, &x)
	if err != nil {
		return err
	}
	null := "NULL"
	if x.Valid {
		null = fmt.Sprint(x.Int64)
	}
	say("typed int=%d nvarchar=%s decimal=%s datetime2=%s null=%s", i, n, d, t.Format("2006-01-02 15:04:05.000"), null)
	rows, err := c.conn.QueryContext(c.ctx, "SELECT i, name FROM dbo.numbers ORDER BY i")
	if err != nil {
		return err
	}
	defer rows.Close()
	total, sum, characters := 0, 0, 0
	for rows.Next() {
		if err := rows.Scan(&i, &n); err != nil {
			return err
		}
		total, sum, characters = total+1, sum+i, characters+utf8.RuneCountInString(n)
	}
	say("rows=%d sum=%d characters=%d", total, sum, characters)
	return rows.Err()
}

func (c *client) transaction(query string, commit bool) error {
	tx, err := c.conn.BeginTx(c.ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(c.ctx, query); err != nil {
		return err
	}
	if commit {
		return tx.Commit()
	}
	return tx.Rollback()
}

func (c *client) writes() error {
	mark := fmt.Sprintf("go-%d", os.Getpid())
	where := " WHERE name = N'" + mark + "'"
	left := "SELECT COUNT(*) AS n FROM dbo.test_table" + where
	identity, err := c.number("INSERT INTO dbo.test_table (name, value) VALUES (@p1, @p2); "+
		"SELECT CAST(SCOPE_IDENTITY() AS int) AS id", mark, 1)
	if err != nil {
		return err
	}
	found, err := c.number("SELECT id FROM dbo.test_table" + where)
	if err != nil {
		return err
	}
	if identity == found {
		say("insert identity=match")
	} else {
		say("insert identity=%d but the row has %d", identity, found)
	}
	updated, err := c.affected("UPDATE dbo.test_table SET value = value + 1" + where)
	if err != nil {
		return err
	}
	value, err := c.number("SELECT value FROM dbo.test_table" + where)
	if err != nil {
		return err
	}
	say("update rows=%d value=%d", updated, value)
	deleted, err := c.affected("DELETE FROM dbo.test_table" + where)
	if err != nil {
		return err
	}
	n, err := c.number(left)
	if err != nil {
		return err
	}
	say("delete rows=%d left=%d", deleted, n)
	if err := c.transaction("INSERT INTO dbo.test_table (name, value) VALUES (N'"+mark+"', 5)", true); err != nil {
		return err
	}
	if n, err = c.number(left); err != nil {
		return err
	}
	say("commit left=%d", n)
	if err := c.transaction("DELETE FROM dbo.test_table"+where, false); err != nil {
		return err
	}
	if n, err = c.number(left); err != nil {
		return err
	}
	say("rollback left=%d", n)
	_, err = c.affected("DELETE FROM dbo.test_table" + where)
	return err
}

func (c *client) requests() error {
	var n string
	var v int
	if err := c.conn.QueryRowContext(c.ctx, "SELECT @p1 AS n, @p2 + 1 AS v", "ação", 7).Scan(&n, &v); err != nil {
		return err
	}
	say("parameters n=%s v=%d", n, v)
	statement, err := c.conn.PrepareContext(c.ctx, "SELECT @p1 + 1 AS v")
	if err != nil {
		return err
	}
	for _, number := range []int{8, 9, 10} {
		if err := statement.QueryRowContext(c.ctx, number).Scan(&v); err != nil {
			return err
		}
		say("prepared v=%d", v)
	}
	statement.Close()
	var id int
	var app, name, bucket string
	err = c.conn.QueryRowContext(c.ctx, "sp_get_tenant", sql.Named("app_id", "APP-000001")).Scan(&id, &app, &name, &bucket)
	if err != nil {
		return err
	}
	say("procedure app_id=%s name=%s", app, name)
	_, err = c.number("SELECT 1/0 AS impossible")
	if err == nil {
		say("no error")
	} else {
		number, text := errorFacts(err)
		say("error number=%d text=%s", number, text)
	}
	one, err := c.number("SELECT 1 AS resultado")
	if err != nil {
		return err
	}
	say("after_error=%d", one)
	return nil
}

func basic() error {
	c, err := connect()
	if err != nil {
		return err
	}
	defer c.close()
	say("connected")
	for _, part := range []func() error{c.selects, c.writes, c.requests} {
		if err := part(); err != nil {
			return err
		}
	}
	say("closed")
	return nil
}

func login() error {
	c, err := connect()
	if err != nil {
		return err
	}
	defer c.close()
	say("connected")
	one, err := c.number("SELECT 1 AS resultado")
	if err != nil {
		return err
	}
	say("resultado=%d", one)
	say("closed")
	return nil
}

func holdOne() error {
	c, err := connect()
	if err != nil {
		return err
	}
	defer c.close()
	spid, err := c.number("SELECT @@SPID AS spid")
	if err != nil {
		return err
	}
	say("held spid=%d", spid)
	time.Sleep(time.Duration(*hold) * time.Millisecond)
	one, err := c.number("SELECT 1 AS resultado")
	if err != nil {
		return err
	}
	say("resultado=%d", one)
	say("closed")
	return nil
}

// startup leaves the connection idle in the pool of database/sql, as applications do.
func startup() error {
	dsn, err := address(nil)
	if err != nil {
		return err
	}
	pool, err := sql.Open("sqlserver", dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	var one int
	if err := pool.QueryRow("SELECT 1 AS resultado").Scan(&one); err != nil {
		return err
	}
	say("resultado=%d", one)
	time.Sleep(time.Duration(*hold) * time.Millisecond)
	say("closed")
	return nil
}

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	for _, name := range []string{"clients", "operations", "seed", "autocommit"} {
		flag.String(name, "", "for others")
	}
	flag.CommandLine.Parse(os.Args[2:])
	if *scenario == "mix" {
		os.Exit(scenarioMix())
	}
	run, known := map[string]func() error{"basic": basic, "login": login, "hold": holdOne, "startup": startup}[*scenario]
	if !known {
		fmt.Fprintln(os.Stderr, "no scenario", *scenario)
		os.Exit(2)
	}
	times := 1
	if *scenario == "hold" || *scenario == "startup" {
		times = *count
	}
	failures := make(chan error, times)
	var all sync.WaitGroup
	for i := 0; i < times; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := run(); err != nil {
				number, text := errorFacts(err)
				say("ERROR number=%d text=%s", number, text)
				failures <- err
			}
		}()
	}
	all.Wait()
	if len(failures) > 0 {
		os.Exit(3)
	}
}
