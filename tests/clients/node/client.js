// Test client: tedious. The same command line, scenarios and output as the other clients (../README.md).
'use strict';
const { parseArgs } = require('node:util');
const fs = require('node:fs');
const { Connection, Request, TYPES } = require('tedious');
const { scenarioMix } = require('./mix.js');

const { values: args } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['host', 'port', 'user', 'password', 'database', 'encrypt', 'scenario', 'count', 'hold',
    'login-timeout', 'timeout', 'ca-file', 'autocommit', 'plan', 'think', 'clients', 'operations', 'seed']
    .map((name) => [name, { type: 'string' }])),
});

const say = (text) => fs.writeSync(1, text + '\n');

class DriverError extends Error {
  constructor(number, text) {
    super(text);
    this.number = number || 0;
  }
}

function settings(database = args.database) {
  const encrypt = { off: false, full: true, strict: 'strict' }[args.encrypt || 'off'];
  if (encrypt === undefined) throw new DriverError(0, `tedious has no encryption mode ${args.encrypt}`);
  const ca = args['ca-file'] ? { ca: fs.readFileSync(args['ca-file']) } : {};
  return {
    server: args.host || '127.0.0.1',
    authentication: { type: 'default', options: { userName: args.user, password: args.password } },
    options: {
      port: Number(args.port),
      database: database || undefined,
      encrypt,
      trustServerCertificate: !args['ca-file'],
      cryptoCredentialsDetails: ca,
      serverName: args['ca-file'] ? 'localhost' : undefined,
      connectTimeout: Number(args['login-timeout'] || 60) * 1000,
      requestTimeout: Number(args.timeout || 60) * 1000,
      useUTC: true,
      appName: 'client-tedious',
    },
  };
}

// The settings that every application must give, the rest as the driver has it.
function defaultSettings() {
  const { server, authentication, options } = settings();
  const { port, database, encrypt, trustServerCertificate } = options;
  return { server, authentication, options: { port, database, encrypt, trustServerCertificate } };
}

function connect(config = settings()) {
  return new Promise((resolve, reject) => {
    const connection = new Connection(config);
    let number = 0;
    let text = '';
    connection.on('errorMessage', (message) => {
      if (!number) ({ number, message: text } = message);
    });
    connection.on('error', () => {}); // the failure is reported by the request or by connect
    connection.connect((error) => {
      if (error) reject(new DriverError(number, text || error.message));
      else resolve(connection);
    });
  });
}

// Runs a request by `start(request)`; resolves to { rows, affected }.
function run(sql, start, prepare) {
  return new Promise((resolve, reject) => {
    const rows = [];
    const request = new Request(sql, (error, affected) => {
      if (error) reject(new DriverError(error.number, error.message));
      else resolve({ rows, affected });
    });
    request.on('row', (columns) => rows.push(columns.map((column) => column.value)));
    if (prepare) prepare(request);
    start(request);
  });
}

const query = async (c, sql) => (await run(sql, (request) => c.execSqlBatch(request))).rows;
const execute = async (c, sql) => (await run(sql, (request) => c.execSql(request))).affected;

function canonical(value) {
  if (value === null) return 'NULL';
  if (value instanceof Date) return value.toISOString().replace('T', ' ').replace('Z', '');
  return String(value);
}

const call = (c, method, ...more) => new Promise((resolve, reject) => {
  c[method]((error) => (error ? reject(new DriverError(error.number, error.message)) : resolve()), ...more);
});

async function basicWrites(c) {
  const mark = `tedious-${process.pid}`;
  const where = `WHERE name = N'${mark}'`;
  const left = async () => canonical((await query(c, `SELECT COUNT(*) AS n FROM dbo.test_table ${where}`))[0][0]);
  const inserted = await run(
    'INSERT INTO dbo.test_table (name, value) VALUES (@name, @value); SELECT CAST(SCOPE_IDENTITY() AS int) AS id',
    (request) => c.execSql(request), (request) => {
      request.addParameter('name', TYPES.NVarChar, mark);
      request.addParameter('value', TYPES.Int, 1);
    });
  const identity = inserted.rows[0][0];
  const found = (await query(c, `SELECT id FROM dbo.test_table ${where}`))[0][0];
  say('insert identity=' + (identity === found ? 'match' : `${identity} but the row has ${found}`));
  const updated = await execute(c, `UPDATE dbo.test_table SET value = value + 1 ${where}`);
  const value = (await query(c, `SELECT value FROM dbo.test_table ${where}`))[0][0];
  say(`update rows=${updated} value=${canonical(value)}`);
  const deleted = await execute(c, `DELETE FROM dbo.test_table ${where}`);
  say(`delete rows=${deleted} left=${await left()}`);
  await call(c, 'beginTransaction');
  await execute(c, `INSERT INTO dbo.test_table (name, value) VALUES (N'${mark}', 5)`);
  await call(c, 'commitTransaction');
  say(`commit left=${await left()}`);
  await call(c, 'beginTransaction');
  await execute(c, `DELETE FROM dbo.test_table ${where}`);
  await call(c, 'rollbackTransaction');
  say(`rollback left=${await left()}`);
  await execute(c, `DELETE FROM dbo.test_table ${where}`);
}

async function basicPrepared(c) {
  const rows = [];
  let finished;
  const request = new Request('SELECT @v + 1 AS v', (error) => finished(error));
  const step = (start) => new Promise((resolve, reject) => {
    finished = (error) => (error ? reject(new DriverError(error.number, error.message)) : resolve());
    start();
  });
  request.addParameter('v', TYPES.Int);
  request.on('row', (columns) => rows.push(columns[0].value));
  await new Promise((resolve, reject) => {
    finished = (error) => error && reject(new DriverError(error.number, error.message));
    request.once('prepared', resolve);
    c.prepare(request);
  });
  for (const v of [8, 9, 10]) await step(() => c.execute(request, { v }));
  await step(() => c.unprepare(request));
  for (const v of rows) say(`prepared v=${canonical(v)}`);
}

async function scenarioBasic() {
  const c = await connect();
  say('connected');
  say(`database=${(await query(c, 'SELECT DB_NAME() AS name'))[0][0]}`);
  say(`resultado=${canonical((await query(c, 'SELECT 1 AS resultado'))[0][0])}`);
  const [typed] = await query(c, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
    + "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x");
  const [i, n, d, t, x] = typed.map(canonical);
  say(`typed int=${i} nvarchar=${n} decimal=${d} datetime2=${t} null=${x}`);
  const rows = await query(c, 'SELECT i, name FROM dbo.numbers ORDER BY i');
  const sum = rows.reduce((total, row) => total + row[0], 0);
  const characters = rows.reduce((total, row) => total + [...row[1]].length, 0);
  say(`rows=${rows.length} sum=${sum} characters=${characters}`);
  await basicWrites(c);
  const parameters = (await run('SELECT @n AS n, @v + 1 AS v', (request) => c.execSql(request), (request) => {
    request.addParameter('n', TYPES.NVarChar, 'ação');
    request.addParameter('v', TYPES.Int, 7);
  })).rows[0];
  say(`parameters n=${parameters[0]} v=${canonical(parameters[1])}`);
  await basicPrepared(c);
  const tenant = (await run('sp_get_tenant', (request) => c.callProcedure(request), (request) => {
    request.addParameter('app_id', TYPES.NVarChar, 'APP-000001');
  })).rows[0];
  say(`procedure app_id=${tenant[1]} name=${tenant[2]}`);
  try {
    await query(c, 'SELECT 1/0 AS impossible');
    say('no error');
  } catch (error) {
    say(`error number=${error.number} text=${error.message}`);
  }
  say(`after_error=${canonical((await query(c, 'SELECT 1 AS resultado'))[0][0])}`);
  c.close();
  say('closed');
}

async function scenarioLogin() {
  const c = await connect();
  say('connected');
  say(`resultado=${canonical((await query(c, 'SELECT 1 AS resultado'))[0][0])}`);
  c.close();
  say('closed');
}

async function holdOne() {
  const c = await connect();
  say(`held spid=${canonical((await query(c, 'SELECT @@SPID AS spid'))[0][0])}`);
  await new Promise((resolve) => setTimeout(resolve, Number(args.hold || 0)));
  say(`resultado=${canonical((await query(c, 'SELECT 1 AS resultado'))[0][0])}`);
  c.close();
  say('closed');
}

async function startupOne() {
  const c = await connect(defaultSettings());
  say(`resultado=${canonical((await query(c, 'SELECT 1 AS resultado'))[0][0])}`);
  await new Promise((resolve) => setTimeout(resolve, Number(args.hold || 0)));
  c.close();
  say('closed');
}

async function mix() {
  const good = await scenarioMix({ connect: (database) => connect(settings(database)), run, call, canonical, say }, args);
  if (!good) process.exitCode = 3;
}

const scenarios = { basic: scenarioBasic, login: scenarioLogin, hold: holdOne, startup: startupOne, mix };
const times = ['hold', 'startup'].includes(args.scenario) ? Number(args.count || 1) : 1;
const report = (error) => {
  say(`ERROR number=${error.number || 0} text=${String(error.message).replace(/\s+/g, ' ').trim()}`);
  process.exitCode = 3;
};
Promise.all(Array.from({ length: times }, () => scenarios[args.scenario || 'login']().catch(report)));
