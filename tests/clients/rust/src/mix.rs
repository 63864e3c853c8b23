// Scenario `mix` with tiberius: plays the plan of ../../mix.py on many connections at once and compares every answer.
//
// No prepared statements in this driver: parameters each time. A procedure's output comes by text, as the last row.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use tiberius::{ColumnData, Row, ToSql};

use crate::{connect, own, Args, Connection, Failure, Outcome};

const US: char = '\u{1f}';
const RS: char = '\u{1e}';

type Step = Vec<String>; // its fields
type Cell = Option<String>;

/// What all connections count together.
#[derive(Default)]
struct Tally {
    connections: u32,
    requests: u32,
    checks: u32,
    wrong: u32,
    errors: u32,
    operations: BTreeMap<String, u32>,
    first: String,
}

impl Tally {
    fn remember(&mut self, text: String) {
        if self.first.is_empty() {
            self.first = text;
        }
    }

    fn report(&self) -> String {
        let kinds: Vec<String> =
            self.operations.iter().map(|(kind, count)| format!("{}: {count}", quoted(kind))).collect();
        format!(
            "{{\"driver\": \"tiberius\", \"connections\": {}, \"operations\": {{{}}}, \"requests\": {}, \"checks\": {}, \
             \"wrong\": {}, \"errors\": {}, \"first\": {}}}",
            self.connections,
            kinds.join(", "),
            self.requests,
            self.checks,
            self.wrong,
            self.errors,
            quoted(&self.first)
        )
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// One connection.
struct Player<'a> {
    c: Connection,
    tally: &'a Mutex<Tally>,
    think: Duration,
    plan: &'a str,
    captured: HashMap<String, String>,
    prepared: HashMap<String, String>,
    owner: String,
}

fn cell(data: ColumnData<'static>) -> Outcome<Cell> {
    Ok(match data {
        ColumnData::U8(v) => v.map(|v| v.to_string()),
        ColumnData::I16(v) => v.map(|v| v.to_string()),
        ColumnData::I32(v) => v.map(|v| v.to_string()),
        ColumnData::I64(v) => v.map(|v| v.to_string()),
        ColumnData::String(v) => v.map(|v| v.to_string()),
        ColumnData::Numeric(v) => v.filter(|v| v.scale() == 0).map(|v| v.value().to_string()),
        other => return Err(own(format!("a value of a type that the plan does not have: {other:?}"))),
    })
}

fn cells(results: Vec<Vec<Row>>) -> Outcome<Vec<Vec<Cell>>> {
    results.into_iter().flatten().map(|row| row.into_iter().map(cell).collect()).collect()
}

fn field<'a>(step: &'a Step, number: usize) -> Outcome<&'a str> {
    step.get(number).map(String::as_str).ok_or_else(|| own("the plan has a step with too few fields"))
}

impl Player<'_> {
    fn text(&self, text: &str) -> String {
        self.captured.iter().fold(text.to_string(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn parameters(&self, words: &str) -> Outcome<Vec<Box<dyn ToSql>>> {
        words.split(US).map(|word| self.parameter(word)).collect()
    }

    fn parameter(&self, word: &str) -> Outcome<Box<dyn ToSql>> {
        let (kind, rest) = word.split_at(1);
        let number = match kind {
            "n" => return Ok(Box::new(None::<String>)),
            "s" => return Ok(Box::new(rest.to_string())),
            "$" => self.captured.get(rest).map(String::as_str),
            _ => Some(rest),
        };
        let number: i32 =
            number.and_then(|text| text.parse().ok()).ok_or_else(|| own(format!("{word} is no parameter")))?;
        Ok(Box::new(number))
    }

    // --- comparing

    fn fits(&mut self, wanted: &str, got: &Cell) -> bool {
        let (kind, name) = wanted.split_at(1);
        match kind {
            ">" => {
                self.captured.insert(name.to_string(), got.clone().unwrap_or_default());
                got.is_some()
            }
            "n" => got.is_none(),
            "$" => got.is_some() && got.as_ref() == self.captured.get(name),
            _ => got.as_deref() == Some(name),
        }
    }

    fn check(&self, step: &Step, good: bool, got: String) {
        let mut tally = self.tally.lock().unwrap();
        tally.checks += 1;
        if !good {
            tally.wrong += 1;
            tally.remember(format!("owner {}: {}: got {got}", self.owner, step.join(" ")));
        }
    }

    fn compare_rows(&mut self, step: &Step, wanted: &str, rows: &[Vec<Cell>]) {
        let lines: Vec<&str> = if wanted.is_empty() { vec![] } else { wanted.split(RS).collect() };
        let mut good = lines.len() == rows.len();
        for (line, row) in lines.iter().zip(rows) {
            let cells: Vec<&str> = line.split(US).collect();
            good = good && cells.len() == row.len() && cells.iter().zip(row).all(|(cell, got)| self.fits(cell, got));
        }
        self.check(step, good, format!("{rows:?}"));
    }

    // --- requests

    async fn rows(&mut self, text: &str) -> Outcome<Vec<Vec<Cell>>> {
        cells(self.c.simple_query(text).await?.into_results().await?)
    }

    async fn rows_by(&mut self, text: &str, words: &str) -> Outcome<Vec<Vec<Cell>>> {
        let owned = self.parameters(words)?;
        let parameters: Vec<&dyn ToSql> = owned.iter().map(|one| one.as_ref()).collect();
        cells(self.c.query(text.replace("@p", "@P"), &parameters).await?.into_results().await?)
    }

    async fn affected_by(&mut self, text: &str, words: Option<&str>) -> Outcome<u64> {
        let owned = words.map_or(Ok(vec![]), |words| self.parameters(words))?;
        let parameters: Vec<&dyn ToSql> = owned.iter().map(|one| one.as_ref()).collect();
        Ok(self.c.execute(text.replace("@p", "@P"), &parameters).await?.total())
    }

    /// A batch whose count is asked for goes through sp_executesql: only then the driver shows it.
    async fn request(&mut self, step: &Step, text: &str, words: Option<&str>, expected: &str) -> Outcome<()> {
        if let Some(count) = expected.strip_prefix('#') {
            let affected = self.affected_by(text, words).await?;
            self.check(step, affected.to_string() == count, affected.to_string());
            return Ok(());
        }
        let rows = match words {
            Some(words) => self.rows_by(text, words).await?,
            None => self.rows(text).await?,
        };
        if let Some(wanted) = expected.strip_prefix('=') {
            self.compare_rows(step, wanted, &rows);
        }
        Ok(())
    }

    async fn call(&mut self, step: &Step) -> Outcome<()> {
        let names: Vec<String> =
            field(step, 2)?.split(',').enumerate().map(|(i, name)| format!("@{name} = @p{}", i + 1)).collect();
        let text = format!(
            "DECLARE @status int, @out int; EXEC @status = {} {}, @{} = @out OUTPUT; \
             SELECT @out AS output, @status AS status",
            field(step, 1)?,
            names.join(", "),
            field(step, 5)?
        );
        let mut rows = self.rows_by(&text, field(step, 3)?).await?;
        let last = rows.pop().ok_or_else(|| own("no row"))?;
        self.compare_rows(step, &field(step, 4)?[1..], &rows);
        for (number, got) in [(6, &last[0]), (7, &last[1])] {
            let good = self.fits(field(step, number)?, got);
            self.check(step, good, format!("{got:?}"));
        }
        Ok(())
    }

    async fn fail(&mut self, step: &Step) -> Outcome<()> {
        let number = self.rows(field(step, 1)?).await.err().map_or(0, |error| error.number);
        self.check(step, number.to_string() == field(step, 2)?, number.to_string());
        Ok(())
    }

    async fn plain(&mut self, text: &str) -> Outcome<()> {
        self.rows(text).await.map(|_| ())
    }

    async fn step(&mut self, step: &Step) -> Outcome<()> {
        match step[0].as_str() {
            "batch" => self.request(step, &self.text(field(step, 1)?), None, field(step, 2)?).await,
            "ask" => self.request(step, &self.text(field(step, 1)?), Some(field(step, 2)?), field(step, 3)?).await,
            "prepare" => {
                self.prepared.insert(field(step, 1)?.to_string(), field(step, 2)?.to_string());
                Ok(())
            }
            "run" => {
                let text = self.prepared.get(field(step, 1)?).cloned().ok_or_else(|| own("not prepared"))?;
                self.request(step, &text, Some(field(step, 2)?), field(step, 3)?).await
            }
            "unprepare" => Ok(drop(self.prepared.remove(field(step, 1)?))),
            "begin" => self.plain("BEGIN TRANSACTION").await,
            "commit" => self.plain("COMMIT TRANSACTION").await,
            "rollback" => self.plain("ROLLBACK TRANSACTION").await,
            "save" => self.plain(&format!("SAVE TRANSACTION {}", field(step, 1)?)).await,
            "back" => self.plain(&format!("ROLLBACK TRANSACTION {}", field(step, 1)?)).await,
            "call" => self.call(step).await,
            "fail" => self.fail(step).await,
            other => Err(own(format!("the plan has a step {other}"))),
        }
    }

    async fn wait(&self, word: &str) {
        println!("waiting {word}");
        while !std::path::Path::new(&format!("{}.{word}", self.plan)).exists() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn operation(&mut self, kind: &str) {
        if kind != "verify" {
            *self.tally.lock().unwrap().operations.entry(kind.to_string()).or_default() += 1;
        }
        tokio::time::sleep(self.think).await;
    }

    /// The step that failed, if one did.
    async fn play<'s>(&mut self, steps: &'s [Step]) -> Result<(), (&'s Step, Failure)> {
        for step in steps {
            match step[0].as_str() {
                "client" => self.owner = step[1].clone(),
                "operation" => self.operation(&step[1]).await,
                "wait" => self.wait(&step[1]).await,
                _ => {
                    self.step(step).await.map_err(|error| (step, error))?;
                    self.tally.lock().unwrap().requests += 1;
                }
            }
        }
        Ok(())
    }
}

fn failed(tally: &Mutex<Tally>, what: String, error: Failure) {
    let mut tally = tally.lock().unwrap();
    tally.errors += 1;
    tally.remember(format!("{what}: {} {}", error.number, error.text));
}

/// With the database of its own that a connection may have.
fn arguments_of(args: &Args, client: &Step) -> Args {
    let mut own = args.clone();
    if let Some(database) = client.get(2) {
        own.0.insert("database".to_string(), database.clone());
    }
    own
}

async fn play_one(args: &Args, steps: &[Step], tally: &Mutex<Tally>, connected: &Barrier) {
    let connection = connect(&arguments_of(args, &steps[0])).await;
    if connection.is_ok() {
        tally.lock().unwrap().connections += 1;
    }
    connected.wait(); // none begins before all are connected; this thread has nothing else to do
    let c = match connection {
        Ok(c) => c,
        Err(error) => return failed(tally, "connect".to_string(), error),
    };
    let think = Duration::from_millis(args.number("think", 0).unwrap_or(0));
    let (captured, prepared) = Default::default();
    let mut player = Player { c, tally, think, plan: args.text("plan", ""), captured, prepared, owner: String::new() };
    if let Err((step, error)) = player.play(steps).await {
        return failed(tally, format!("owner {}: {}", player.owner, step.join(" ")), error);
    }
    if let Err(error) = player.c.close().await {
        failed(tally, "close".to_string(), error.into());
    }
}

fn read_plan(path: &str) -> std::io::Result<Vec<Vec<Step>>> {
    let mut connections: Vec<Vec<Step>> = vec![];
    for line in std::fs::read_to_string(path)?.lines() {
        let step: Step = line.split('\t').map(str::to_string).collect();
        if step[0] == "client" {
            connections.push(vec![]);
        }
        if let Some(last) = connections.last_mut() {
            last.push(step);
        }
    }
    Ok(connections)
}

/// True when nothing failed and every answer was right.
pub fn run(args: &Args) -> bool {
    let plan = match read_plan(args.text("plan", "")) {
        Ok(plan) => plan,
        Err(error) => {
            println!("ERROR number=0 text={error}");
            return false;
        }
    };
    let tally = Arc::new(Mutex::new(Tally::default()));
    let connected = Barrier::new(plan.len());
    std::thread::scope(|scope| {
        for steps in &plan {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(play_one(args, steps, &tally, &connected)),
                    Err(error) => panic!("{error}"),
                }
            });
        }
    });
    let tally = tally.lock().unwrap();
    println!("{}", tally.report());
    tally.errors == 0 && tally.wrong == 0
}
