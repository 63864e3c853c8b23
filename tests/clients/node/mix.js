// Scenario `mix` with tedious: plays the plan of ../mix.py on many connections at once and compares every answer.
'use strict';
const fs = require('node:fs');
const { Request, TYPES } = require('tedious');

const US = '\x1f';
const RS = '\x1e';
const TYPE_OF = { i: TYPES.Int, s: TYPES.NVarChar, n: TYPES.NVarChar, $: TYPES.Int };

// [[fields of a step, ...] of a connection, ...]
function readPlan(path) {
  const connections = [];
  for (const line of fs.readFileSync(path, 'utf8').split('\n')) {
    if (!line) continue;
    const fields = line.split('\t');
    if (fields[0] === 'client') connections.push([]);
    connections[connections.length - 1].push(fields);
  }
  return connections;
}

// One connection. `tools` are client.js's: connect, run, call, canonical.
class Player {
  constructor(tools, steps, tally, think, plan) {
    Object.assign(this, { tools, steps, tally, think, plan, captured: new Map(), handles: new Map(), owner: 0 });
  }

  text(text) {
    return text.replace(/\{(\w+)\}/g, (_, name) => this.captured.get(name));
  }

  value(word) {
    if (word[0] === 'n') return null;
    if (word[0] === 's') return word.slice(1);
    return Number(word[0] === '$' ? this.captured.get(word.slice(1)) : word.slice(1));
  }

  addParameters(request, field, names) {
    field.split(US).forEach((word, i) => {
      request.addParameter(names ? names[i] : `p${i + 1}`, TYPE_OF[word[0]], this.value(word));
    });
  }

  fits(cell, value) {
    if (cell[0] === '>') {
      this.captured.set(cell.slice(1), this.tools.canonical(value));
      return value !== null;
    }
    if (cell[0] === 'n') return value === null;
    const wanted = cell[0] === '$' ? this.captured.get(cell.slice(1)) : cell.slice(1);
    return value !== null && this.tools.canonical(value) === wanted;
  }

  check(step, good, got) {
    this.tally.checks += 1;
    if (good) return;
    this.tally.wrong += 1;
    this.tally.first = this.tally.first || `owner ${this.owner}: ${step.join(' ')}: got ${JSON.stringify(got)}`;
  }

  compare(step, expected, { rows, affected }) {
    if (expected[0] === '#') this.check(step, affected === Number(expected.slice(1)), affected);
    else if (expected[0] === '=') this.compareRows(step, expected.slice(1), rows);
  }

  compareRows(step, wanted, rows) {
    const cells = wanted ? wanted.split(RS).map((row) => row.split(US)) : [];
    const good = cells.length === rows.length && cells.every((row, i) => row.length === rows[i].length
      && row.every((cell, j) => this.fits(cell, rows[i][j])));
    this.check(step, good, rows);
  }

  // --- steps

  client([, owner]) {
    this.owner = owner;
  }

  async operation([, kind]) {
    if (kind !== 'verify') this.tally.operations[kind] = (this.tally.operations[kind] || 0) + 1;
    if (this.think) await new Promise((resolve) => setTimeout(resolve, this.think));
  }

  async wait([, word]) {
    this.tools.say(`waiting ${word}`);
    while (!fs.existsSync(`${this.plan}.${word}`)) await new Promise((resolve) => setTimeout(resolve, 200));
  }

  async batch(step) {
    this.compare(step, step[2], await this.tools.run(this.text(step[1]), (request) => this.connection.execSqlBatch(request)));
  }

  async ask(step) {
    const answer = await this.tools.run(this.text(step[1]), (request) => this.connection.execSql(request),
      (request) => this.addParameters(request, step[2]));
    this.compare(step, step[3], answer);
  }

  // A Request of its own that goes on living: its callback is exchanged for each run.
  async prepare([, name, text, types]) {
    const handle = { rows: [], done: null };
    handle.request = new Request(text, (error, affected) => handle.done(error, affected));
    [...types].forEach((type, i) => handle.request.addParameter(`p${i + 1}`, TYPE_OF[type]));
    handle.request.on('row', (columns) => handle.rows.push(columns.map((column) => column.value)));
    await new Promise((resolve, reject) => {
      handle.done = (error) => error && reject(error);
      handle.request.once('prepared', resolve);
      this.connection.prepare(handle.request);
    });
    this.handles.set(name, handle);
  }

  step(handle, start) {
    handle.rows = [];
    return new Promise((resolve, reject) => {
      handle.done = (error, affected) => (error ? reject(error) : resolve({ rows: handle.rows, affected }));
      start();
    });
  }

  async run(step) {
    const handle = this.handles.get(step[1]);
    const values = Object.fromEntries(step[2].split(US).map((word, i) => [`p${i + 1}`, this.value(word)]));
    this.compare(step, step[3], await this.step(handle, () => this.connection.execute(handle.request, values)));
  }

  async unprepare([, name]) {
    const handle = this.handles.get(name);
    await this.step(handle, () => this.connection.unprepare(handle.request));
    this.handles.delete(name);
  }

  async call(step) {
    const [, procedure, names, values, expected, outputName, output, status] = step;
    let gotOutput;
    let gotStatus;
    const { rows } = await this.tools.run(procedure, (request) => this.connection.callProcedure(request), (request) => {
      request.addOutputParameter(outputName, TYPES.Int);
      this.addParameters(request, values, names.split(','));
      request.on('returnValue', (_, value) => { gotOutput = value; });
      request.on('doneProc', (_count, _more, returned) => { gotStatus = returned; });
    });
    this.compareRows(step, expected.slice(1), rows);
    this.check(step, this.fits(output, gotOutput), gotOutput);
    this.check(step, this.fits(status, gotStatus), gotStatus);
  }

  async fail(step) {
    let number = 0;
    try {
      await this.tools.run(step[1], (request) => this.connection.execSqlBatch(request));
    } catch (error) {
      number = error.number;
    }
    this.check(step, number === Number(step[2]), number);
  }

  begin() { return this.tools.call(this.connection, 'beginTransaction'); }

  commit() { return this.tools.call(this.connection, 'commitTransaction'); }

  rollback() { return this.tools.call(this.connection, 'rollbackTransaction'); }

  save([, name]) { return this.tools.call(this.connection, 'saveTransaction', name); }

  back([, name]) { return this.tools.call(this.connection, 'rollbackTransaction', name); }

  // --- the whole

  failed(step, error) {
    this.tally.errors += 1;
    this.tally.first = this.tally.first || `owner ${this.owner}: ${step.join(' ')}: ${error.number || 0} ${error.message}`;
  }

  async connect() {
    try {
      this.connection = await this.tools.connect(this.steps[0][2]);
      this.tally.connections += 1;
    } catch (error) {
      this.failed(['connect'], error);
    }
  }

  async play() {
    if (!this.connection) return;
    let step;
    try {
      for (step of this.steps) {
        await this[step[0]](step);
        if (!['client', 'operation', 'wait'].includes(step[0])) this.tally.requests += 1;
      }
    } catch (error) {
      this.failed(step, error);
    }
    this.connection.close();
  }
}

// True when nothing failed and every answer was right.
async function scenarioMix(tools, args) {
  const tally = { driver: 'tedious', connections: 0, operations: {}, requests: 0, checks: 0, wrong: 0, errors: 0, first: '' };
  const players = readPlan(args.plan).map((steps) => new Player(tools, steps, tally, Number(args.think || 0), args.plan));
  await Promise.all(players.map((player) => player.connect())); // none begins before all are connected
  await Promise.all(players.map((player) => player.play()));
  tools.say(JSON.stringify(tally));
  return tally.errors === 0 && tally.wrong === 0;
}

module.exports = { scenarioMix };
