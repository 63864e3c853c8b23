// Test client: tiberius. The same command line, scenarios and output as the other clients (../README.md).
//
// tiberius has no prepared statements and no transactions of its own: parameters go through sp_executesql, transactions
// and the procedure as text.

mod mix;

use std::collections::HashMap;
use std::time::Duration;

use tiberius::error::Error;
use tiberius::numeric::Numeric;
use tiberius::time::chrono::NaiveDateTime;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type Connection = Client<Compat<TcpStream>>;
type Outcome<T> = Result<T, Failure>;

const TYPED: &str = "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, \
                     CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x";

/// number is 0 when the error is the driver's own and not the server's.
struct Failure {
    number: u32,
    text: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (number, text) = match &error {
            Error::Server(token) => (token.code(), token.message().to_string()),
            other => (0, other.to_string()),
        };
        Failure { number, text: text.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure { number: 0, text: error.to_string() }
    }
}

fn own(text: impl Into<String>) -> Failure {
    Failure { number: 0, text: text.into() }
}

#[derive(Clone)]
struct Args(HashMap<String, String>);

impl Args {
    fn read() -> Option<Args> {
        let words: Vec<String> = std::env::args().skip(2).collect(); // the first names the driver
        if words.len() % 2 != 0 {
            return None;
        }
        let pairs = words.chunks(2).map(|pair| Some((pair[0].strip_prefix("--")?.to_string(), pair[1].clone())));
        pairs.collect::<Option<_>>().map(Args)
    }

    fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0.get(name).map_or(otherwise, String::as_str)
    }

    fn number(&self, name: &str, otherwise: u64) -> Outcome<u64> {
        match self.0.get(name) {
            Some(value) => value.parse().map_err(|_| own(format!("--{name} {value} is not a number"))),
            None => Ok(otherwise),
        }
    }

    fn seconds(&self, name: &str) -> Outcome<Duration> {
        Ok(Duration::from_secs(self.number(name, 60)?))
    }
}

fn encryption(mode: &str) -> Outcome<EncryptionLevel> {
    match mode {
        "off" => Ok(EncryptionLevel::NotSupported),
        "login" => Ok(EncryptionLevel::Off),
        "full" => Ok(EncryptionLevel::Required),
        _ => Err(own(format!("no encryption mode {mode}"))),
    }
}

/// What every application must give.
fn settings(args: &Args) -> Outcome<Config> {
    let mut config = Config::new();
    config.host(args.text("host", "127.0.0.1"));
    config.port(u16::try_from(args.number("port", 1433)?).map_err(|_| own("no such port"))?);
    config.authentication(AuthMethod::sql_server(args.text("user", ""), args.text("password", "")));
    config.encryption(encryption(args.text("encrypt", "off"))?);
    if let Some(database) = args.0.get("database").filter(|name| !name.is_empty()) {
        config.database(database);
    }
    match args.0.get("ca-file").filter(|name| !name.is_empty()) {
        Some(file) => config.trust_cert_ca(file),
        None => config.trust_cert(),
    }
    Ok(config)
}

async fn connect(args: &Args) -> Outcome<Connection> {
    let mut config = settings(args)?;
    config.application_name("client-tiberius");
    connect_with(args, config).await
}

async fn connect_with(args: &Args, config: Config) -> Outcome<Connection> {
    let login = async {
        let tcp = TcpStream::connect(config.get_addr()).await?;
        tcp.set_nodelay(true)?;
        Ok(Client::connect(config, tcp.compat_write()).await?)
    };
    tokio::time::timeout(args.seconds("login-timeout")?, login).await.map_err(|_| own("the login timed out"))?
}

async fn rows(c: &mut Connection, sql: &str) -> Outcome<Vec<Row>> {
    Ok(c.simple_query(sql).await?.into_first_result().await?)
}

async fn row(c: &mut Connection, sql: &str, parameters: &[&dyn ToSql]) -> Outcome<Row> {
    let results = c.query(sql, parameters).await?.into_results().await?;
    results.into_iter().flatten().next().ok_or_else(|| own("no row"))
}

/// One column of a row; NULL is a failure.
fn value<'a, T: tiberius::FromSql<'a>>(row: &'a Row, column: usize) -> Outcome<T> {
    row.try_get(column)?.ok_or_else(|| own(format!("column {column} is NULL")))
}

async fn number(c: &mut Connection, sql: &str) -> Outcome<i32> {
    let all = rows(c, sql).await?;
    value(all.first().ok_or_else(|| own("no row"))?, 0)
}

async fn affected(c: &mut Connection, sql: &str) -> Outcome<u64> {
    Ok(c.execute(sql, &[]).await?.total())
}

async fn selects(c: &mut Connection) -> Outcome<()> {
    let database = rows(c, "SELECT DB_NAME() AS name").await?;
    println!("database={}", value::<&str>(database.first().ok_or_else(|| own("no row"))?, 0)?);
    println!("resultado={}", number(c, "SELECT 1 AS resultado").await?);
    let typed = rows(c, TYPED).await?.pop().ok_or_else(|| own("no row"))?;
    println!(
        "typed int={} nvarchar={} decimal={} datetime2={} null={}",
        value::<i32>(&typed, 0)?,
        value::<&str>(&typed, 1)?,
        value::<Numeric>(&typed, 2)?,
        value::<NaiveDateTime>(&typed, 3)?,
        typed.try_get::<i32, _>(4)?.map_or("NULL".to_string(), |x| x.to_string())
    );
    let (mut total, mut sum, mut characters) = (0, 0, 0);
    for row in rows(c, "SELECT i, name FROM dbo.numbers ORDER BY i").await? {
        total += 1;
        sum += value::<i32>(&row, 0)?;
        characters += value::<&str>(&row, 1)?.chars().count();
    }
    println!("rows={total} sum={sum} characters={characters}");
    Ok(())
}

async fn writes(c: &mut Connection) -> Outcome<()> {
    let mark = format!("tiberius-{}", std::process::id());
    let filter = format!("WHERE name = N'{mark}'");
    let left = format!("SELECT COUNT(*) AS n FROM dbo.test_table {filter}");
    let insert =
        "INSERT INTO dbo.test_table (name, value) VALUES (@P1, @P2); SELECT CAST(SCOPE_IDENTITY() AS int) AS id";
    let identity: i32 = value(&row(c, insert, &[&mark.as_str(), &1i32]).await?, 0)?;
    let found = number(c, &format!("SELECT id FROM dbo.test_table {filter}")).await?;
    if identity == found {
        println!("insert identity=match");
    } else {
        println!("insert identity={identity} but the row has {found}");
    }
    let updated = affected(c, &format!("UPDATE dbo.test_table SET value = value + 1 {filter}")).await?;
    let v = number(c, &format!("SELECT value FROM dbo.test_table {filter}")).await?;
    println!("update rows={updated} value={v}");
    let deleted = affected(c, &format!("DELETE FROM dbo.test_table {filter}")).await?;
    println!("delete rows={deleted} left={}", number(c, &left).await?);
    rows(c, "BEGIN TRANSACTION").await?;
    rows(c, &format!("INSERT INTO dbo.test_table (name, value) VALUES (N'{mark}', 5)")).await?;
    rows(c, "COMMIT TRANSACTION").await?;
    println!("commit left={}", number(c, &left).await?);
    rows(c, "BEGIN TRANSACTION").await?;
    affected(c, &format!("DELETE FROM dbo.test_table {filter}")).await?;
    rows(c, "ROLLBACK TRANSACTION").await?;
    println!("rollback left={}", number(c, &left).await?);
    affected(c, &format!("DELETE FROM dbo.test_table {filter}")).await?;
    Ok(())
}

async fn requests(c: &mut Connection) -> Outcome<()> {
    let both = row(c, "SELECT @P1 AS n, @P2 + 1 AS v", &[&"ação", &7i32]).await?;
    println!("parameters n={} v={}", value::<&str>(&both, 0)?, value::<i32>(&both, 1)?);
    for n in [8i32, 9, 10] {
        println!("prepared v={}", value::<i32>(&row(c, "SELECT @P1 + 1 AS v", &[&n]).await?, 0)?);
    }
    let tenant = row(c, "EXEC sp_get_tenant @app_id = @P1", &[&"APP-000001"]).await?;
    let (app, name): (Option<&str>, Option<&str>) = (tenant.try_get("app_id")?, tenant.try_get("name")?);
    println!("procedure app_id={} name={}", app.unwrap_or("NULL"), name.unwrap_or("NULL"));
    match rows(c, "SELECT 1/0 AS impossible").await {
        Ok(_) => println!("no error"),
        Err(error) => println!("error number={} text={}", error.number, error.text),
    }
    println!("after_error={}", number(c, "SELECT 1 AS resultado").await?);
    Ok(())
}

async fn basic(args: &Args) -> Outcome<()> {
    let mut c = connect(args).await?;
    println!("connected");
    let all = async {
        selects(&mut c).await?;
        writes(&mut c).await?;
        requests(&mut c).await
    };
    tokio::time::timeout(args.seconds("timeout")?, all).await.map_err(|_| own("a query timed out"))??;
    c.close().await?;
    println!("closed");
    Ok(())
}

async fn login(args: &Args) -> Outcome<()> {
    let mut c = connect(args).await?;
    println!("connected");
    println!("resultado={}", number(&mut c, "SELECT 1 AS resultado").await?);
    c.close().await?;
    println!("closed");
    Ok(())
}

async fn hold(args: &Args) -> Outcome<()> {
    let mut c = connect(args).await?;
    let spid = rows(&mut c, "SELECT @@SPID AS spid").await?.pop().ok_or_else(|| own("no row"))?;
    println!("held spid={}", value::<i16>(&spid, 0)?);
    tokio::time::sleep(Duration::from_millis(args.number("hold", 0)?)).await;
    println!("resultado={}", number(&mut c, "SELECT 1 AS resultado").await?);
    c.close().await?;
    println!("closed");
    Ok(())
}

async fn startup(args: &Args) -> Outcome<()> {
    let mut c = connect_with(args, settings(args)?).await?;
    println!("resultado={}", number(&mut c, "SELECT 1 AS resultado").await?);
    tokio::time::sleep(Duration::from_millis(args.number("hold", 0)?)).await;
    c.close().await?;
    println!("closed");
    Ok(())
}

/// Runs a scenario to its end in this thread. False after an ERROR line.
fn run(args: &Args) -> bool {
    let scenario = async {
        match args.text("scenario", "login") {
            "basic" => basic(args).await,
            "hold" => hold(args).await,
            "startup" => startup(args).await,
            _ => login(args).await,
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(scenario)) {
        Ok(()) => true,
        Err(error) => {
            println!("ERROR number={} text={}", error.number, error.text);
            false
        }
    }
}

fn run_many(args: &Args, count: u64) -> bool {
    let threads: Vec<_> = (0..count).map(|_| args.clone()).map(|own| std::thread::spawn(move || run(&own))).collect();
    let results: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect();
    results.into_iter().all(|good| good)
}

fn main() {
    let args = match Args::read() {
        Some(args) if ["basic", "login", "hold", "startup", "mix"].contains(&args.text("scenario", "login")) => args,
        _ => {
            eprintln!(
                "usage: client-tiberius tiberius --port P --user U --password W \
                 [--scenario basic|login|hold|startup|mix] ..."
            );
            std::process::exit(2);
        }
    };
    let good = match args.text("scenario", "login") {
        "mix" => mix::run(&args),
        "hold" | "startup" => run_many(&args, args.number("count", 1).unwrap_or(1)),
        _ => run(&args),
    };
    if !good {
        std::process::exit(3);
    }
}
