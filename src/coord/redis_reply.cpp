#include "coord/redis_reply.h"

#include <hiredis/hiredis.h>

int64_t reply_integer(const redisReply *r, int64_t otherwise) {
    return r != nullptr && r->type == REDIS_REPLY_INTEGER ? r->integer : otherwise;
}

const redisReply *reply_element(const redisReply *r, size_t i) {
    return r != nullptr && r->type == REDIS_REPLY_ARRAY && i < r->elements ? r->element[i] : nullptr;
}

std::string_view reply_text(const redisReply *r) {
    if (r == nullptr)
        return {};
    if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS && r->type != REDIS_REPLY_ERROR)
        return {};
    return {r->str, r->len};
}

std::vector<std::string> reply_strings(const redisReply *r) {
    std::vector<std::string> out;
    for (size_t i = 0; const redisReply *e = reply_element(r, i); ++i)
        out.emplace_back(reply_text(e));
    return out;
}

std::vector<int64_t> reply_integers(const redisReply *r) {
    std::vector<int64_t> out;
    for (size_t i = 0; const redisReply *e = reply_element(r, i); ++i)
        out.push_back(reply_integer(e, 0));
    return out;
}

bool reply_is_error(const redisReply *r) {
    return r != nullptr && r->type == REDIS_REPLY_ERROR;
}
bool reply_is_noscript(const redisReply *r) {
    return reply_is_error(r) && reply_text(r).starts_with("NOSCRIPT");
}

std::string_view info_value(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        std::string_view line = info.substr(0, info.find('\n'));
        info.remove_prefix(std::min(line.size() + 1, info.size()));
        if (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
            return line.substr(name.size() + 1);
    }
    return {};
}
