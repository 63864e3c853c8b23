// The status page: the files of http/page, built into the binary by http/page.cmake. They ask for /status.json and
// /history.json and for nothing else.
#pragma once

struct page_file {
    const char *path; // on the health port
    const char *type; // Content-Type
    const char *text;
};

extern const page_file page_files[3];
