// The status page: asks /status.json every two seconds, and /history.json when it begins to look. All that comes from
// there is put on the page as text or as numbers, never as HTML.
"use strict";

const interval = 2000;
const samples = 150;
const page = {last: null, rates: new Map(), history: new Map(), rows: new Map(), chosen: null, cursor: null, behind: true,
  failures: 0, failed: null};

const $ = id => document.getElementById(id);
const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "path", "line", "text"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// ---- numbers as people read them

function span(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [size, name] of units) if (seconds >= size * 2) return `${Math.floor(seconds / size)} ${name}`;
  return `${Math.floor(seconds)} s`;
}

function rate(n) {
  return n === null ? "–" : n === 0 ? "0" : n < 10 ? n.toFixed(1) : whole.format(n);
}

function milliseconds(n) {
  return n === null ? "–" : n >= 1000 ? `${(n / 1000).toFixed(1)} s` : n >= 10 ? `${whole.format(n)} ms` : `${n.toFixed(2)} ms`;
}

function bytes(n) {
  return n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(2)} GiB` : `${(n / 2 ** 20).toFixed(n < 2 ** 27 ? 1 : 0)} MiB`;
}

const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);
const total = counts => sum(Object.values(counts), n => n);

function merged(list, of) {
  const all = {};
  for (const item of list) for (const [name, n] of Object.entries(of(item))) all[name] = (all[name] || 0) + n;
  return all;
}

// ---- rates, from one answer to the next

function difference(now, before, seconds) {
  const requests = now.requests - before.requests, errors = now.errors - before.errors;
  if (seconds <= 0 || requests < 0 || errors < 0) return null;
  return {requests: requests / seconds, ms: requests > 0 ? (now.request_ms - before.request_ms) / requests : null, errors};
}

function take_rates(status) {
  const before = new Map((page.last?.buckets || []).map(b => [b.id, b]));
  const seconds = page.last ? (Date.parse(status.timestamp) - Date.parse(page.last.timestamp)) / 1000 : 0;
  page.rates = new Map(status.buckets.map(b => [b.id, before.has(b.id) ? difference(b, before.get(b.id), seconds) : null]));
}

function take_history(history) {
  page.history = new Map(history.buckets.map(b => [b.id, b.active.map((active, i) => ({active, idle: b.idle[i], queue: b.queue[i]}))]));
}

function add_to_history(status) {
  const kept = new Map();
  for (const b of status.buckets) {
    const list = page.history.get(b.id) || [];
    list.push({active: b.active, idle: b.idle, queue: b.queue});
    kept.set(b.id, list.slice(-samples));
  }
  page.history = kept;
}

// Of one bucket, or of all together. All lists end now.
function shown_history() {
  if (page.chosen !== null) return page.history.get(page.chosen) || [];
  const lists = [...page.history.values()], length = Math.max(0, ...lists.map(l => l.length));
  return Array.from({length}, (_, i) => {
    const at = lists.map(l => l[l.length - length + i]).filter(Boolean);
    return {active: sum(at, s => s.active), idle: sum(at, s => s.idle), queue: sum(at, s => s.queue)};
  });
}

// ---- drawing

// A number of one or two digits and zeros, at least `n`.
function round_up(n) {
  if (n <= 4) return 4;
  const size = 10 ** Math.floor(Math.log10(n));
  for (const step of [1, 1.5, 2, 3, 4, 5, 6, 8, 10]) if (n <= step * size) return step * size;
  return n;
}

// The area between two lines over the samples; the last sample is at the right edge.
function area(list, box, top, low, high) {
  if (list.length === 0) return "";
  const x = i => box.left + box.width * (1 - (list.length - 1 - i) / (samples - 1));
  const y = value => box.height - box.height * Math.min(value, top) / top;
  const forth = list.map((s, i) => `${x(i).toFixed(1)},${y(high(s)).toFixed(1)}`);
  const back = list.map((s, i) => `${x(i).toFixed(1)},${y(low(s)).toFixed(1)}`).reverse();
  return `M${forth.join("L")}L${back.join("L")}Z`;
}

const areas = {
  active: [() => 0, s => s.active],
  idle: [s => s.active, s => s.active + s.idle],
  queue: [() => 0, s => s.queue],
};

function plot(svg, list, names, limit) {
  const width = svg.clientWidth, height = svg.clientHeight, left = 34;
  const box = {left, width: width - left, height: height - 6};
  const highest = Math.max(0, ...list.map(s => Math.max(...names.map(n => areas[n][1](s)))));
  const top = round_up(limit !== null && limit <= highest * 1.5 ? Math.max(limit, highest) : highest);
  svg.setAttribute("viewBox", `0 -5 ${width} ${height}`);
  const lines = [0, .5, 1].flatMap(part => {
    const y = box.height * (1 - part);
    const label = make("text", {x: left - 6, y: y + (part === 0 ? 0 : 4), "text-anchor": "end"}, part * top % 1 === 0 ? whole.format(part * top) : "");
    return [make("line", {class: "grid", x1: left, x2: width, y1: y, y2: y}), label];
  });
  const drawn = names.map(n => make("path", {class: n, d: area(list, box, top, ...areas[n])}));
  svg.replaceChildren(...lines, ...drawn);
  if (limit !== null && limit <= top) {
    const y = box.height * (1 - limit / top);
    svg.append(make("line", {class: "limit", x1: left, x2: width, y1: y, y2: y}));
  }
  if (page.cursor !== null) svg.append(make("line", {class: "cursor", x1: page.cursor, x2: page.cursor, y1: 0, y2: box.height}));
}

// What the pointer is at.
function read_out(list) {
  const svg = $("chart"), left = 34;
  if (page.cursor === null || list.length === 0) return "";
  const back = Math.round((1 - (page.cursor - left) / (svg.clientWidth - left)) * (samples - 1));
  const s = list[list.length - 1 - back];
  return s ? `${span(back * interval / 1000)} ago: ${s.active} at work, ${s.idle} idle, ${s.queue} waiting` : "";
}

function draw_charts() {
  const list = shown_history(), bucket = page.last?.buckets.find(b => b.id === page.chosen);
  $("focus").textContent = bucket ? `· ${bucket.id}` : page.last && page.last.buckets.length > 1 ? "· all buckets" : "";
  plot($("chart"), list, ["active", "idle"], bucket ? bucket.limit : null);
  plot($("waiting"), list, ["queue"], null);
  $("readout").textContent = read_out(list);
}

// Only the upper edge of an area.
function edge(list, box, top, of) {
  return area(list, box, top, of, of).split("L").slice(0, list.length).join("L");
}

function spark(svg, list) {
  const box = {left: 0, width: 96, height: 26};
  const top = Math.max(4, ...list.map(s => s.active + s.idle), ...list.map(s => s.queue));
  svg.setAttribute("viewBox", "0 0 96 26");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...["active", "idle"].map(n => make("path", {class: n, d: area(list, box, top, ...areas[n])})));
  if (list.some(s => s.queue > 0)) svg.append(make("path", {class: "queue", d: edge(list, box, top, s => s.queue)}));
}

function meter(svg, parts, whole_of) {
  let at = 0;
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...parts.map(([name, n]) => {
    const width = whole_of > 0 ? Math.min(100 - at, 100 * n / whole_of) : 0;
    const rect = make("rect", {class: name, x: at, y: 0, width: Math.max(0, width), height: 10});
    at += width;
    return rect;
  }));
}

// ---- parts of the page

function tile(label, value, more, mood, id) {
  const shown = make("dd", {id: `tile-${id}`}, value);
  if (more) shown.append(" ", make("small", {}, more));
  return make("dl", {class: `tile ${mood}`}, make("dt", {}, label), shown);
}

function show_tiles(status) {
  const buckets = status.buckets, rates = [...page.rates.values()].filter(Boolean);
  const requests = rates.length ? sum(rates, r => r.requests) : null;
  const timed = rates.filter(r => r.ms !== null), per_second = sum(timed, r => r.requests);
  const ms = per_second > 0 ? sum(timed, r => r.ms * r.requests) / per_second : null;
  const queue = sum(buckets, b => b.queue), errors = status.errors + sum(buckets, b => b.errors);
  const longest = Math.max(0, ...buckets.map(b => b.longest_wait_ms));
  const failing = rates.some(r => r.errors > 0);
  $("tiles").replaceChildren(
    tile("Clients", whole.format(total(status.clients)), "", "", "clients"),
    tile("At work", whole.format(sum(buckets, b => b.active)), `connections, ${whole.format(sum(buckets, b => b.idle))} idle`, "", "active"),
    tile("Waiting", whole.format(queue), queue > 0 ? `for up to ${milliseconds(longest)}` : "", queue > 0 ? "warn" : "", "queue"),
    tile("Pinned", whole.format(sum(buckets, b => total(b.pinned))), "", "", "pinned"),
    tile("Requests/s", rate(requests), "", "", "requests"),
    tile("Average answer", milliseconds(ms), "", "", "average"),
    tile("Errors", whole.format(errors), "since start", failing ? "bad" : "", "errors"),
    tile("Memory", bytes(status.memory_bytes), `loop ${milliseconds(status.loop_delay_ms)}`, "", "memory"));
}

function new_row(id) {
  const cells = {}, row = make("tr", {"data-bucket": id});
  cells.dot = make("span", {class: "dot"});
  cells.mode = make("small");
  const name = make("button", {type: "button", title: "Draw this bucket above"}, id);
  cells.text = make("small");
  cells.meter = make("svg", {class: "meter", "aria-hidden": "true"});
  cells.spark = make("svg", {class: "spark", "aria-hidden": "true"});
  row.append(make("td", {}, cells.dot, name, cells.mode), make("td", {class: "use"}, cells.text, cells.meter), make("td", {}, cells.spark));
  for (const [key, label] of [["queue", "waiting"], ["pinned", "pinned"], ["clients", "clients"], ["requests", "requests/s"], ["average", "average"], ["errors", "errors"]]) {
    cells[key] = make("td", {"data-label": label, "data-field": key});
    row.append(cells[key]);
  }
  row.addEventListener("click", () => choose(page.chosen === id ? null : id));
  return {row, cells};
}

function cell(td, text, mood) {
  td.textContent = text;
  td.className = mood || (text === "0" || text === "–" ? "zero" : "");
}

function show_row({row, cells}, b, component) {
  const rates = page.rates.get(b.id), others = Math.max(0, b.in_use - b.active - b.idle);
  cells.dot.className = `dot ${component ? component.healthy ? "good" : "bad" : ""}`;
  cells.dot.title = component ? component.message : "";
  cells.mode.textContent = component && !component.healthy ? component.message : b.mode;
  cells.text.textContent = `${whole.format(b.active)} at work, ${whole.format(b.idle)} idle` +
    (others > 0 ? `, ${whole.format(others)} elsewhere` : "") + ` of ${whole.format(b.limit)}`;
  for (const field of ["active", "idle", "limit"]) cells.text.dataset[field] = b[field];
  meter(cells.meter, [["active", b.active], ["idle", b.idle], ["others", others]], b.limit);
  spark(cells.spark, page.history.get(b.id) || []);
  cell(cells.queue, whole.format(b.queue), b.queue > 0 ? "warn" : "");
  cell(cells.pinned, whole.format(total(b.pinned)));
  cell(cells.clients, whole.format(b.clients));
  cell(cells.requests, rate(rates ? rates.requests : null));
  cell(cells.average, milliseconds(rates ? rates.ms : null));
  cell(cells.errors, whole.format(b.errors), rates && rates.errors > 0 ? "bad" : "");
  row.classList.toggle("chosen", page.chosen === b.id);
}

function use(b) {
  return b.queue * 1000 + (b.limit > 0 ? (b.active + b.idle / 1000) / b.limit : 0);
}

function show_buckets(status) {
  const components = new Map(status.components.map(c => [c.name, c])), wanted = $("filter").value.trim().toLowerCase();
  const shown = status.buckets.filter(b => b.id.toLowerCase().includes(wanted));
  if ($("busiest").checked) shown.sort((a, b) => use(b) - use(a));
  const rows = shown.map(b => {
    if (!page.rows.has(b.id)) page.rows.set(b.id, new_row(b.id));
    show_row(page.rows.get(b.id), b, components.get(`sqlserver-${b.id}`));
    return page.rows.get(b.id).row;
  });
  const table = $("buckets"), same = rows.length === table.children.length && rows.every((row, i) => table.children[i] === row);
  if (!same) table.replaceChildren(...rows);
  $("nothing").hidden = shown.length > 0 || status.buckets.length === 0;
}

function show_bars(id, counts, none) {
  const entries = Object.entries(counts).sort((a, b) => b[1] - a[1]), most = Math.max(1, ...entries.map(e => e[1]));
  if (entries.length === 0) return $(id).replaceChildren(make("span", {class: "soft"}, none));
  $(id).replaceChildren(...entries.flatMap(([name, n]) => {
    const bar = make("svg", {class: "meter", "aria-hidden": "true"});
    meter(bar, [["active", n]], most);
    return [make("span", {}, name.replaceAll("_", " ")), bar, make("span", {"data-name": name}, whole.format(n))];
  }));
}

function show_lists(status) {
  $("instances").replaceChildren(...[...status.instances].sort().map(name =>
    make("li", name === status.instance_id ? {class: "own", title: "this one"} : {}, name)));
  $("components").replaceChildren(...status.components.map(c => make("li", {},
    make("span", {class: `dot ${c.healthy ? "good" : "bad"}`}), c.name, " ",
    make("small", {}, c.latency_ms > 0 ? `${c.message}, ${milliseconds(c.latency_ms)}` : c.message))));
}

function pill(id, text, mood) {
  $(id).hidden = text === "";
  $(id).textContent = text;
  $(id).className = `pill ${mood}`;
}

function show(status) {
  document.title = `${status.instance_id} · tdsbouncer`;
  $("version").textContent = status.version;
  $("instance").textContent = status.instance_id;
  $("uptime").textContent = `up ${span(status.uptime_s)}`;
  pill("health", status.healthy ? "healthy" : "unhealthy", status.healthy ? "good" : "bad");
  pill("accepting", status.accepting ? "" : "not accepting", "warn");
  pill("redis", status.redis === "" ? "" : `Redis: ${status.redis}`, status.redis === "normal" ? "good" : "warn");
  show_tiles(status);
  show_buckets(status);
  show_bars("pins", merged(status.buckets, b => b.pinned), "Nothing is pinned.");
  show_bars("servers", merged(status.buckets, b => b.servers), "There is none.");
  show_bars("clients", status.clients, "Nobody is there.");
  show_lists(status);
  draw_charts();
  document.body.dataset.at = status.timestamp; // a test waits for it
}

function choose(id) {
  page.chosen = id;
  if (page.last) show(page.last);
}

// ---- the clock

async function fetch_json(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(5000)});
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer.json();
}

// One answer that is lost is nothing to speak of.
function show_failure(error) {
  page.behind = true;
  page.failed ||= new Date();
  if (++page.failures < 2) return;
  $("offline").textContent = `No answer since ${page.failed.toLocaleTimeString()}: ${error.message}. What follows is old.`;
  $("offline").hidden = false;
  document.body.classList.add("stale");
}

async function refresh() {
  const status = await fetch_json("/status.json");
  if (page.behind) take_history(await fetch_json("/history.json"));
  else add_to_history(status);
  take_rates(status);
  Object.assign(page, {last: status, behind: false, failures: 0, failed: null});
  $("offline").hidden = true;
  document.body.classList.remove("stale");
  show(status);
}

async function run() {
  for (;;) {
    if (!document.hidden) await refresh().catch(show_failure);
    else page.behind = true;
    await new Promise(done => setTimeout(done, interval));
  }
}

function follow_pointer(event) {
  const left = 34, at = event.offsetX;
  page.cursor = event.type === "pointerleave" || at < left ? null : at;
  draw_charts();
}

for (const id of ["chart", "waiting"])
  for (const type of ["pointermove", "pointerdown", "pointerleave"]) $(id).addEventListener(type, follow_pointer);
for (const id of ["filter", "busiest"]) $(id).addEventListener("input", () => page.last && show_buckets(page.last));
addEventListener("resize", draw_charts);
run();
