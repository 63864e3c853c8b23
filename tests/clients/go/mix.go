// Scenario `mix` with go-mssqldb: plays the plan of ../mix.py on many connections at once and compares every answer.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

const (
	us = "\x1f"
	rs = "\x1e"
)

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// tally is what all connections count together.
type tally struct {
	Driver      string         `json:"driver"`
	Connections int            `json:"connections"`
	Operations  map[string]int `json:"operations"`
	Requests    int            `json:"requests"`
	Checks      int            `json:"checks"`
	Wrong       int            `json:"wrong"`
	Errors      int            `json:"errors"`
	First       string         `json:"first"`
	lock        sync.Mutex
}

func (t *tally) add(counter *int, format string, args ...any) {
	t.lock.Lock()
	defer t.lock.Unlock()
	*counter++
	if t.First == "" && format != "" {
		t.First = fmt.Sprintf(format, args...)
	}
}

// runner is the connection, or its transaction while there is one.
type runner interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// player is one connection.
type player struct {
	*client
	count    *tally
	tx       *sql.Tx
	captured map[string]string
	handles  map[string]*sql.Stmt
	owner    string
}

func (p *player) runner() runner {
	if p.tx != nil {
		return p.tx
	}
	return p.conn
}

func (p *player) text(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string { return p.captured[found[1:len(found)-1]] })
}

func (p *player) value(word string) any {
	switch word[0] {
	case 'n':
		return nil
	case 's':
		return word[1:]
	case '$':
		word = "$" + p.captured[word[1:]]
	}
	number, err := strconv.Atoi(word[1:])
	if err != nil {
		panic(err) // the plan is wrong
	}
	return number
}

func (p *player) values(field string) (values []any) {
	for _, word := range strings.Split(field, us) {
		values = append(values, p.value(word))
	}
	return values
}

// canonical returns a value as text; false for NULL.
func canonical(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "NULL", false
	case []byte: // numeric
		return string(v), true
	default:
		return fmt.Sprint(v), true
	}
}

func (p *player) fits(cell string, value any) bool {
	text, there := canonical(value)
	switch cell[0] {
	case '>':
		p.captured[cell[1:]] = text
		return there
	case 'n':
		return !there
	case '$':
		return there && text == p.captured[cell[1:]]
	default:
		return there && text == cell[1:]
	}
}

func (p *player) check(step []string, good bool, got any) {
	p.count.add(&p.count.Checks, "")
	if !good {
		p.count.add(&p.count.Wrong, "owner %s: %s: got %v", p.owner, strings.Join(step, " "), got)
	}
}

func (p *player) compareRows(step []string, wanted string, rows [][]any) {
	var cells []string
	if wanted != "" {
		cells = strings.Split(wanted, rs)
	}
	good := len(cells) == len(rows)
	for i := 0; good && i < len(rows); i++ {
		row := strings.Split(cells[i], us)
		good = len(row) == len(rows[i])
		for j := 0; good && j < len(row); j++ {
			good = p.fits(row[j], rows[i][j])
		}
	}
	p.check(step, good, rows)
}

// allRows reads the rows of all results and closes them.
func allRows(rows *sql.Rows) (all [][]any, err error) {
	defer rows.Close()
	for {
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			row, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				places[i] = &row[i]
			}
			if err := rows.Scan(places...); err != nil {
				return nil, err
			}
			all = append(all, row)
		}
		if !rows.NextResultSet() {
			return all, rows.Err()
		}
	}
}

// request runs one request in the way that its expected answer needs, and compares.
func (p *player) request(step []string, expected string, exec func() (sql.Result, error), query func() (*sql.Rows, error)) error {
	if expected[0] == '=' {
		result, err := query()
		if err != nil {
			return err
		}
		rows, err := allRows(result)
		if err == nil {
			p.compareRows(step, expected[1:], rows)
		}
		return err
	}
	result, err := exec()
	if err != nil {
		return err
	}
	affected, err := result.RowsAffected()
	if err == nil && expected[0] == '#' {
		p.check(step, fmt.Sprint(affected) == expected[1:], affected)
	}
	return err
}

func (p *player) plain(step []string, text, expected string, values []any) error {
	return p.request(step, expected,
		func() (sql.Result, error) { return p.runner().ExecContext(p.ctx, text, values...) },
		func() (*sql.Rows, error) { return p.runner().QueryContext(p.ctx, text, values...) })
}

func (p *player) runPrepared(step []string) error {
	statement, values := p.handles[step[1]], p.values(step[2])
	return p.request(step, step[3],
		func() (sql.Result, error) { return statement.ExecContext(p.ctx, values...) },
		func() (*sql.Rows, error) { return statement.QueryContext(p.ctx, values...) })
}

func (p *player) prepare(name, text string) (err error) {
	p.handles[name], err = p.conn.PrepareContext(p.ctx, text)
	return err
}

func (p *player) call(step []string) error {
	var output sql.NullInt64
	var status mssql.ReturnStatus
	arguments := []any{sql.Named(step[5], sql.Out{Dest: &output}), &status}
	names := strings.Split(step[2], ",")
	for i, value := range p.values(step[3]) {
		arguments = append(arguments, sql.Named(names[i], value))
	}
	result, err := p.runner().QueryContext(p.ctx, step[1], arguments...)
	if err != nil {
		return err
	}
	rows, err := allRows(result)
	if err != nil {
		return err
	}
	p.compareRows(step, step[4][1:], rows)
	var got any
	if output.Valid {
		got = output.Int64
	}
	p.check(step, p.fits(step[6], got), got)
	p.check(step, p.fits(step[7], int32(status)), status)
	return nil
}

func (p *player) fail(step []string) {
	number := int32(0)
	if _, err := p.runner().ExecContext(p.ctx, step[1]); err != nil {
		number, _ = errorFacts(err)
	}
	p.check(step, fmt.Sprint(number) == step[2], number)
}

func (p *player) end(how func(*sql.Tx) error) error {
	tx := p.tx
	p.tx = nil
	return how(tx)
}

func (p *player) step(step []string) (err error) {
	switch step[0] {
	case "batch":
		return p.plain(step, p.text(step[1]), step[2], nil)
	case "ask":
		return p.plain(step, p.text(step[1]), step[3], p.values(step[2]))
	case "prepare":
		return p.prepare(step[1], step[2])
	case "run":
		return p.runPrepared(step)
	case "unprepare":
		return p.handles[step[1]].Close()
	case "begin":
		p.tx, err = p.conn.BeginTx(p.ctx, nil)
		return err
	case "commit":
		return p.end((*sql.Tx).Commit)
	case "rollback":
		return p.end((*sql.Tx).Rollback)
	case "save":
		_, err = p.runner().ExecContext(p.ctx, "SAVE TRANSACTION "+step[1])
		return err
	case "back":
		_, err = p.runner().ExecContext(p.ctx, "ROLLBACK TRANSACTION "+step[1])
		return err
	case "call":
		return p.call(step)
	case "fail":
		p.fail(step)
		return nil
	}
	return fmt.Errorf("the plan has a step %s", step[0])
}

func (p *player) failed(step []string, err error) {
	number, text := errorFacts(err)
	p.count.add(&p.count.Errors, "owner %s: %s: %d %s", p.owner, strings.Join(step, " "), number, text)
}

func (p *player) play(steps [][]string) {
	for _, step := range steps {
		switch step[0] {
		case "client":
			p.owner = step[1]
		case "operation":
			p.operation(step[1])
		case "wait":
			p.wait(step[1])
		default:
			if err := p.step(step); err != nil {
				p.failed(step, err)
				return
			}
			p.count.add(&p.count.Requests, "")
		}
	}
}

func (p *player) operation(kind string) {
	if kind != "verify" {
		p.count.lock.Lock()
		p.count.Operations[kind]++
		p.count.lock.Unlock()
	}
	time.Sleep(time.Duration(*think) * time.Millisecond)
}

func (p *player) wait(word string) {
	say("waiting %s", word)
	for {
		if _, err := os.Stat(*planFile + "." + word); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// readPlan returns the fields of the steps of each connection.
func readPlan(path string) (connections [][][]string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		fields := strings.Split(line, "\t")
		if fields[0] == "client" {
			connections = append(connections, nil)
		}
		connections[len(connections)-1] = append(connections[len(connections)-1], fields)
	}
	return connections, nil
}

func playOne(count *tally, steps [][]string, connected *sync.WaitGroup) {
	p := &player{count: count, captured: map[string]string{}, handles: map[string]*sql.Stmt{}}
	var err error
	p.client, err = connect(steps[0][2:]...)
	connected.Done()
	if err != nil {
		p.failed([]string{"connect"}, err)
		return
	}
	defer p.close()
	p.ctx = context.Background() // the limit is each request's own, in the address
	count.add(&count.Connections, "")
	connected.Wait() // none begins before all are connected
	p.play(steps)
}

// scenarioMix returns the exit status.
func scenarioMix() int {
	plan, err := readPlan(*planFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	count := &tally{Driver: os.Args[1], Operations: map[string]int{}}
	var connected, done sync.WaitGroup
	connected.Add(len(plan))
	done.Add(len(plan))
	for _, steps := range plan {
		steps := steps
		go func() {
			defer done.Done()
			playOne(count, steps, &connected)
		}()
	}
	done.Wait()
	line, _ := json.Marshal(count)
	say("%s", line)
	if count.Errors > 0 || count.Wrong > 0 {
		return 3
	}
	return 0
}
