// The page at "/": what this process is and where to look. Plain HTML without scripts.
#include "http/http_body.h"

namespace {

struct endpoint {
    const char *path;
    const char *what;
};

constexpr endpoint endpoints[] = {
    {"/health", "every component, 200 or 503"},
    {"/health/ready", "Redis and every bucket answer, 200 or 503"},
    {"/health/live", "the process runs"},
    {"/health/accepting", "new clients are welcome, 200 or 503: what a load balancer asks"},
};

constexpr char style[] = "body{font:16px sans-serif;margin:2em}td{padding:.2em 1em .2em 0}";

} // namespace

std::string html_escaped(const std::string &text) {
    std::string out;
    for (char c : text) {
        switch (c) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '"': out += "&quot;"; break;
        default: out += c;
        }
    }
    return out;
}

std::string index_page(const health_snapshot &s, const std::string &version) {
    std::string page =
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>tdsbouncer</title><style>";
    page += style;
    page += "</style></head><body><h1>tdsbouncer " + html_escaped(version) + "</h1>\n<p>Instance " +
            html_escaped(s.instance_id) + ". Prometheus metrics are at /metrics on the metrics port.</p>\n<table>\n";
    for (const endpoint &e : endpoints) {
        std::string path = e.path;
        page += "<tr><td><a href=\"" + path + "\">" + path + "</a></td><td>" + e.what + "</td></tr>\n";
    }
    return page + "</table></body></html>\n";
}
