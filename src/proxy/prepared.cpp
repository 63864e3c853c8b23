#include "proxy/prepared.h"

#include <algorithm>

#include "tds/packet.h"
#include "tds/request_build.h"
#include "tds/utf16.h"

static constexpr size_t few = 64; // not worth a sweep

static void add_part(std::string &key, std::string_view part) {
    key.append(std::to_string(part.size())).append(":").append(part);
}

static std::string_view view(const std::vector<uint8_t> &bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

static std::string key_of(const tds_prepared_text &text, const tds_session_state &settings) {
    std::string key;
    add_part(key, view(text.declaration));
    add_part(key, view(text.statement));
    add_part(key, settings.database);
    // A server may parse it by what is set when it is prepared.
    add_part(key, settings[tds_option::quoted_identifier]);
    add_part(key, settings[tds_option::ansi_nulls]);
    return key;
}

// The text of a parameter, and what it does when it is run.
static std::string read_text(const std::vector<uint8_t> &bare_parameter, tds_request_reader *reader, uint32_t version,
                             tsql_effect &effect) {
    tds_request_info info;
    std::vector<uint8_t> payload = tds_prepared_payload(bare_parameter, version);
    tds_request_begin(reader, tds_type_rpc, version, false, info);
    tds_request_feed(reader, payload);
    tds_request_end(reader);
    effect = std::move(info.effect);
    if (info.place.kind == tds_text_place::kind_t::none)
        return {};
    return tds_utf8(std::span(payload).subspan(info.place.at, info.place.bytes));
}

prepared_ptr prepared_intern(prepared_table &table, tds_request_reader *reader, uint32_t version,
                             tds_prepared_text &&text, const tds_session_state &settings) {
    std::weak_ptr<const prepared_statement> &known = table.known[key_of(text, settings)];
    prepared_ptr kept = known.lock();
    if (!kept) {
        auto made = std::make_shared<prepared_statement>();
        tsql_effect none;
        made->declaration = read_text(text.declaration, reader, version, none);
        made->statement = read_text(text.statement, reader, version, made->effect);
        made->text = std::move(text);
        made->database = settings.database;
        known = kept = std::move(made);
    }
    return kept;
}

void prepared_sweep(prepared_table &table) {
    if (table.known.size() > few)
        std::erase_if(table.known, [](const auto &entry) { return entry.second.expired(); });
}

// ---- sessions --------------------------------------------------------------------------------------------------

static size_t size_of(const prepared_statement &statement) {
    return statement.text.declaration.size() + statement.text.statement.size();
}

prepared_ptr prepared_find(const prepared_book &book, int32_t handle) {
    auto found = book.known.find(handle);
    return found == book.known.end() ? nullptr : found->second;
}

int32_t prepared_give(prepared_book &book, prepared_ptr statement) {
    size_t size = size_of(*statement);
    if (book.known.size() == prepared_handles_max || book.bytes + size > prepared_bytes_max)
        return 0;
    while (book.known.contains(book.next))
        book.next = book.next == prepared_last_handle ? prepared_first_handle : book.next + 1;
    int32_t handle = book.next;
    book.next = handle == prepared_last_handle ? prepared_first_handle : handle + 1;
    book.bytes += size;
    book.known.emplace(handle, std::move(statement));
    return handle;
}

void prepared_forget(prepared_book &book, int32_t handle) {
    auto found = book.known.find(handle);
    if (found == book.known.end())
        return;
    book.bytes -= size_of(*found->second);
    book.known.erase(found);
}

void prepared_forget_all(prepared_book &book) {
    book.known.clear();
    book.bytes = 0;
}

// ---- server connections ----------------------------------------------------------------------------------------

static auto find(prepared_list &list, const prepared_statement *statement) {
    return std::find_if(list.known.begin(), list.known.end(),
                        [&](const prepared_on_server &p) { return p.statement.get() == statement; });
}

int32_t prepared_here(prepared_list &list, const prepared_statement *statement) {
    auto found = find(list, statement);
    if (found == list.known.end())
        return 0;
    found->used = ++list.clock;
    return found->handle;
}

static void drop_oldest(prepared_list &list) {
    auto older = [](const prepared_on_server &a, const prepared_on_server &b) { return a.used < b.used; };
    auto oldest = std::min_element(list.known.begin(), list.known.end(), older);
    list.unused.push_back(oldest->handle);
    *oldest = std::move(list.known.back());
    list.known.pop_back();
}

void prepared_add(prepared_list &list, prepared_ptr statement, int32_t handle, size_t most) {
    auto found = find(list, statement.get());
    if (found != list.known.end()) {
        if (found->handle != handle)
            list.unused.push_back(found->handle);
        found->handle = handle;
        found->used = ++list.clock;
        return;
    }
    list.known.push_back({std::move(statement), handle, ++list.clock});
    while (list.known.size() > most)
        drop_oldest(list);
}

void prepared_clear(prepared_list &list) {
    list.known.clear();
    list.unused.clear();
}

bool prepared_retire(prepared_list &list, const std::vector<prepared_ptr> &but) {
    auto stays = [&](const prepared_on_server &p) {
        return std::find(but.begin(), but.end(), p.statement) != but.end();
    };
    auto others = std::partition(list.known.begin(), list.known.end(), stays);
    for (auto p = others; p != list.known.end(); ++p)
        list.unused.push_back(p->handle);
    bool any = others != list.known.end();
    list.known.erase(others, list.known.end());
    return any;
}

void prepared_remove(prepared_list &list, const prepared_statement *statement) {
    std::erase_if(list.known, [&](const prepared_on_server &p) { return p.statement.get() == statement; });
}

std::string prepared_end_batch(const prepared_list &list) {
    std::string sql;
    for (int32_t handle : list.unused)
        sql.append("EXEC sp_unprepare ").append(std::to_string(handle)).append(";");
    return sql;
}

static std::string use(const std::string &database) {
    return std::string("USE ").append(tds_quote_name(database)).append(";");
}

std::string prepared_make_batch(const prepared_statement &statement, const std::string &database) {
    bool elsewhere = statement.database != database;
    std::string sql = elsewhere ? use(statement.database) : "";
    sql.append("DECLARE @tdsbouncer int;EXEC sp_prepare @tdsbouncer OUTPUT,")
        .append(statement.declaration.empty() ? "NULL"
                                              : tds_quote_text(statement.declaration)); // N'' fails on Babelfish
    sql.append(",").append(tds_quote_text(statement.statement)).append(";");
    if (elsewhere)
        sql.append(use(database));
    return sql.append("SELECT CAST(@tdsbouncer AS nvarchar(12))");
}
