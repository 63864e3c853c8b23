// See mix.h. The prepared statements are RPCs sp_prepare, sp_execute and sp_unprepare.
#include "mix.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

namespace {

const char US = '\x1f', RS = '\x1e';

// What all connections count together.
struct tally {
    std::mutex lock;
    std::condition_variable all_connected;
    size_t connecting = 0;
    int connections = 0, requests = 0, checks = 0, wrong = 0, errors = 0;
    std::map<std::string, int> operations;
    std::string first;
};

// One connection.
struct player {
    client c;
    tally *count = nullptr;
    std::map<std::string, std::string> captured;
    std::map<std::string, DBINT> handles;
    std::string owner;
    std::deque<std::string> texts; // parameters of the RPC that is being built
    std::deque<DBINT> numbers;
};

std::vector<std::string> split(const std::string &text, char separator) {
    std::vector<std::string> parts(1);
    for (const char byte : text)
        if (byte == separator)
            parts.emplace_back();
        else
            parts.back() += byte;
    return parts;
}

std::string joined(const mix_step &step) {
    std::string text;
    for (const std::string &field : step)
        text += (text.empty() ? "" : " ") + field;
    return text;
}

std::string in_json(const std::string &text) {
    std::string out = "\"";
    for (const char byte : text) {
        char code[8];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned char>(byte));
        if (byte == '"' || byte == '\\')
            out += std::string("\\") + byte;
        else
            out += static_cast<unsigned char>(byte) < 0x20 ? std::string(code) : std::string(1, byte);
    }
    return out + "\"";
}

// --- comparing

void check(player &p, const mix_step &step, bool good, const std::string &got) {
    std::lock_guard<std::mutex> guard(p.count->lock);
    p.count->checks++;
    if (good)
        return;
    p.count->wrong++;
    if (p.count->first.empty())
        p.count->first = "owner " + p.owner + ": " + joined(step) + ": got " + got;
}

bool fits(player &p, const std::string &wanted, const cell &got) {
    const std::string name = wanted.substr(1);
    switch (wanted[0]) {
    case '>': p.captured[name] = got.text; return !got.null;
    case 'n': return got.null;
    case '$': return !got.null && got.text == p.captured[name];
    default: return !got.null && got.text == name;
    }
}

std::string shown(const std::vector<row_cells> &rows) {
    std::string text;
    for (const row_cells &row : rows) {
        text += "(";
        for (const cell &one : row)
            text += one.text + ", ";
        text += ")";
    }
    return text;
}

void compare_rows(player &p, const mix_step &step, const std::string &wanted) {
    const std::vector<std::string> rows = wanted.empty() ? std::vector<std::string>() : split(wanted, RS);
    bool good = rows.size() == p.c.rows.size();
    for (size_t i = 0; good && i < rows.size(); i++) {
        const std::vector<std::string> cells = split(rows[i], US);
        good = cells.size() == p.c.rows[i].size();
        for (size_t j = 0; good && j < cells.size(); j++)
            good = fits(p, cells[j], p.c.rows[i][j]);
    }
    check(p, step, good, shown(p.c.rows));
}

void compare(player &p, const mix_step &step, const std::string &expected) {
    if (expected[0] == '#')
        check(p, step, p.c.affected == std::atoi(expected.c_str() + 1), std::to_string(p.c.affected));
    else if (expected[0] == '=')
        compare_rows(p, step, expected.substr(1));
}

// --- requests

std::string with_captured(player &p, std::string text) {
    for (size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at)) {
        const size_t end = text.find('}', at);
        text.replace(at, end - at + 1, p.captured[text.substr(at + 1, end - at - 1)]);
    }
    return text;
}

void add_value(player &p, const char *name, const std::string &word) {
    if (word[0] == 'n')
        return add_null_text(p.c, name);
    if (word[0] == 's') {
        p.texts.push_back(word.substr(1));
        return add_text(p.c, name, p.texts.back(), SYBNTEXT); // db-lib sends no nvarchar
    }
    const std::string number = word[0] == '$' ? p.captured[word.substr(1)] : word.substr(1);
    p.numbers.push_back(std::atoi(number.c_str()));
    add_number(p.c, name, &p.numbers.back());
}

void start(player &p, const char *procedure) {
    p.texts.clear();
    p.numbers.clear();
    rpc_start(p.c, procedure);
}

void add_long_text(player &p, const std::string &text) {
    p.texts.push_back(text);
    add_text(p.c, "", p.texts.back(), SYBNTEXT);
}

// "@p1 int, @p2 nvarchar(60)": by the letters of `types`, or of parameters.
std::string declaration(const std::vector<char> &types) {
    std::string text;
    for (size_t i = 0; i < types.size(); i++)
        text += (i ? ", @p" : "@p") + std::to_string(i + 1) +
                (types[i] == 's' || types[i] == 'n' ? " nvarchar(60)" : " int");
    return text;
}

bool ask(player &p, const std::string &sql, const std::string &field) {
    const std::vector<std::string> words = split(field, US);
    std::vector<char> types;
    for (const std::string &word : words)
        types.push_back(word[0]);
    start(p, "sp_executesql");
    add_long_text(p, sql);
    add_long_text(p, declaration(types));
    for (size_t i = 0; i < words.size(); i++) {
        p.texts.push_back("@p" + std::to_string(i + 1));
        add_value(p, p.texts.back().c_str(), words[i]);
    }
    return rpc_finish(p.c);
}

bool prepare(player &p, const mix_step &step) {
    start(p, "sp_prepare");
    add_output(p.c, "");
    add_long_text(p, declaration(std::vector<char>(step[3].begin(), step[3].end())));
    add_long_text(p, step[2]);
    p.numbers.push_back(1);
    add_number(p.c, "", &p.numbers.back());
    if (!rpc_finish(p.c))
        return false;
    p.handles[step[1]] = std::atoi(rpc_output(p.c).text.c_str());
    return true;
}

bool run_prepared(player &p, const mix_step &step) {
    start(p, "sp_execute");
    add_number(p.c, "", &p.handles[step[1]]);
    for (const std::string &word : split(step[2], US))
        add_value(p, "", word);
    return rpc_finish(p.c);
}

bool unprepare(player &p, const std::string &name) {
    start(p, "sp_unprepare");
    add_number(p.c, "", &p.handles[name]);
    return rpc_finish(p.c);
}

bool call(player &p, const mix_step &step) {
    const std::vector<std::string> names = split(step[2], ','), words = split(step[3], US);
    start(p, step[1].c_str());
    const std::string output_name = "@" + step[5];
    add_output(p.c, output_name.c_str());
    for (size_t i = 0; i < words.size(); i++) {
        p.texts.push_back("@" + names[i]);
        add_value(p, p.texts.back().c_str(), words[i]);
    }
    if (!rpc_finish(p.c))
        return false;
    compare_rows(p, step, step[4].substr(1));
    const cell output = rpc_output(p.c), status = rpc_status(p.c);
    check(p, step, fits(p, step[6], output), output.text);
    check(p, step, fits(p, step[7], status), status.text);
    return true;
}

void expect_failure(player &p, const mix_step &step) {
    client_run(p.c, step[1]);
    check(p, step, error_now.number == std::atoi(step[2].c_str()), std::to_string(error_now.number));
}

// --- steps

bool batch(player &p, const std::string &sql) {
    return client_run(p.c, sql);
}

bool take_step(player &p, const mix_step &step) {
    const std::string &verb = step[0];
    bool good = true;
    if (verb == "batch") {
        if ((good = batch(p, with_captured(p, step[1]))))
            compare(p, step, step[2]);
    } else if (verb == "ask") {
        if ((good = ask(p, with_captured(p, step[1]), step[2])))
            compare(p, step, step[3]);
    } else if (verb == "run") {
        if ((good = run_prepared(p, step)))
            compare(p, step, step[3]);
    } else if (verb == "prepare")
        good = prepare(p, step);
    else if (verb == "unprepare")
        good = unprepare(p, step[1]);
    else if (verb == "begin")
        good = batch(p, "BEGIN TRANSACTION");
    else if (verb == "commit")
        good = batch(p, "COMMIT TRANSACTION");
    else if (verb == "rollback")
        good = batch(p, "ROLLBACK TRANSACTION");
    else if (verb == "save")
        good = batch(p, "SAVE TRANSACTION " + step[1]);
    else if (verb == "back")
        good = batch(p, "ROLLBACK TRANSACTION " + step[1]);
    else if (verb == "call")
        good = call(p, step);
    else if (verb == "fail")
        expect_failure(p, step);
    else
        good = false;
    return good;
}

void begin_operation(player &p, const std::string &kind) {
    if (kind != "verify") {
        std::lock_guard<std::mutex> guard(p.count->lock);
        p.count->operations[kind]++;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(p.c.opt.think_ms));
}

void wait_for(player &p, const std::string &word) {
    say("waiting " + word);
    while (!std::ifstream(p.c.opt.plan + "." + word))
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

void failed(player &p, const mix_step &step) {
    std::lock_guard<std::mutex> guard(p.count->lock);
    p.count->errors++;
    if (p.count->first.empty())
        p.count->first = "owner " + p.owner + ": " + joined(step) + ": " + error_line();
}

// None begins before all are connected, or have failed to.
bool connect_together(player &p) {
    const bool good = client_connect(p.c);
    std::unique_lock<std::mutex> guard(p.count->lock);
    p.count->connections += good;
    if (--p.count->connecting == 0)
        p.count->all_connected.notify_all();
    p.count->all_connected.wait(guard, [&p] { return p.count->connecting == 0; });
    return good;
}

void play(const options &opt, const std::vector<mix_step> &steps, tally &count) {
    player p;
    p.c.opt = opt;
    if (steps[0].size() > 2)
        p.c.opt.database = steps[0][2];
    p.count = &count;
    if (!connect_together(p))
        return failed(p, {"connect"});
    for (const mix_step &step : steps) {
        if (step[0] == "client") {
            p.owner = step[1];
        } else if (step[0] == "operation") {
            begin_operation(p, step[1]);
        } else if (step[0] == "wait") {
            wait_for(p, step[1]);
        } else {
            if (!take_step(p, step))
                return failed(p, step);
            std::lock_guard<std::mutex> guard(count.lock);
            count.requests++;
        }
    }
}

std::string report(const tally &count) {
    std::string kinds;
    for (const auto &[kind, number] : count.operations)
        kinds += (kinds.empty() ? "" : ", ") + in_json(kind) + ": " + std::to_string(number);
    return "{\"driver\": \"dblib\", \"connections\": " + std::to_string(count.connections) + ", \"operations\": {" +
           kinds + "}, \"requests\": " + std::to_string(count.requests) +
           ", \"checks\": " + std::to_string(count.checks) + ", \"wrong\": " + std::to_string(count.wrong) +
           ", \"errors\": " + std::to_string(count.errors) + ", \"first\": " + in_json(count.first) + "}";
}

} // namespace

mix_plan mix_read_plan(const std::string &path) {
    mix_plan plan;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const mix_step step = split(line, '\t');
        if (step[0] == "client")
            plan.emplace_back();
        plan.back().push_back(step);
    }
    return plan;
}

int mix_run(const options &opt, const mix_plan &plan) {
    tally count;
    count.connecting = plan.size();
    std::vector<std::thread> threads;
    for (const std::vector<mix_step> &steps : plan)
        threads.emplace_back(play, std::cref(opt), std::cref(steps), std::ref(count));
    for (std::thread &one : threads)
        one.join();
    say(report(count));
    return plan.empty() || count.errors || count.wrong ? 3 : 0;
}
