#include "config/option_show.h"

#include "config/value.h"

namespace {

using T = option_type;

uint64_t number_of(const option_target &target) {
    if (auto *u16 = std::get_if<uint16_t *>(&target))
        return **u16;
    if (auto *u32 = std::get_if<uint32_t *>(&target))
        return **u32;
    return **std::get_if<uint64_t *>(&target);
}

// The value by which option_choice names it.
uint8_t choice_of(const option_target &target) {
    if (auto *flag = std::get_if<bool *>(&target))
        return **flag;
    if (auto *mode = std::get_if<pool_mode *>(&target))
        return static_cast<uint8_t>(**mode);
    if (auto *tls = std::get_if<client_tls *>(&target))
        return static_cast<uint8_t>(**tls);
    if (auto *to_server = std::get_if<server_tls *>(&target))
        return static_cast<uint8_t>(**to_server);
    if (auto *mars = std::get_if<mars_mode *>(&target))
        return static_cast<uint8_t>(**mars);
    if (auto *procedures = std::get_if<opaque_procedures *>(&target))
        return static_cast<uint8_t>(**procedures);
    return static_cast<uint8_t>(**std::get_if<health_probe *>(&target));
}

std::string choice_text(const option_row &row, const option_target &target) {
    if (auto *text = std::get_if<std::string *>(&target))
        return **text;
    for (const option_choice *choice = row.choices; choice->text != nullptr; ++choice)
        if (choice->value == choice_of(target))
            return choice->text;
    return "";
}

std::string host_port_text(const std::string &host, uint16_t port) {
    return host + ":" + std::to_string(port);
}

std::string list_text(const option_target &target) {
    std::string all;
    auto add = [&all](const std::string &one) { all += (all.empty() ? "" : ", ") + one; };
    if (auto *texts = std::get_if<std::vector<std::string> *>(&target))
        for (const std::string &one : **texts)
            add(one);
    else
        for (const sentinel_address &one : **std::get_if<std::vector<sentinel_address> *>(&target))
            add(host_port_text(one.host, one.port));
    return all;
}

} // namespace

std::string option_show(const option_row &row, const void *section) {
    if (row.target == nullptr)
        return "";
    option_target target = row.target(const_cast<void *>(section)); // nothing is written through it
    switch (row.type) {
    case T::secret:
    case T::secret_file: return (*std::get_if<std::string *>(&target))->empty() ? "" : "(set)";
    case T::number: return std::to_string(number_of(target));
    case T::duration: return duration_text(number_of(target));
    case T::size: return size_text(number_of(target));
    case T::boolean: return **std::get_if<bool *>(&target) ? "true" : "false";
    case T::choice:
    case T::choice_list: return choice_text(row, target);
    case T::host_list:
    case T::pattern_list:
    case T::host_port_list: return list_text(target);
    case T::host_port: {
        const auto &at = *std::get_if<host_port_target>(&target);
        return host_port_text(*at.host, *at.port);
    }
    default: return **std::get_if<std::string *>(&target);
    }
}
