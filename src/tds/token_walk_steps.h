// The inside of token_walk: steps, and what they are made of. Nobody else includes this.
//
// A step is a function that takes the next few bytes, at once or, when a piece ends between them, over several calls,
// and then says which step comes next. Whatever is longer than a few bytes is a number in `skip`.
#pragma once

#include "tds/token_walk.h"

struct tds_walk_cursor {
    const uint8_t *p;
    const uint8_t *end;
    const uint8_t *from;  // first byte that may be forwarded and was not yet
    const uint8_t *token; // where the current token begins; null: in an earlier piece
};

enum class tds_step_result : uint8_t {
    again, // go on with w.skip and w.step
    more,  // the piece is used up
    emit,  // forward what precedes c.p before going on
    failed,
};

inline tds_step_result tds_step_go(tds_walker &w, tds_walker::step_function next) {
    w.step = next;
    return tds_step_result::again;
}

inline tds_step_result tds_step_fail(tds_walker &w, tds_walk_error error, uint8_t byte = 0) {
    w.error = error;
    w.bad_byte = byte;
    return tds_step_result::failed;
}

// The next `n` bytes (at most sizeof w.small, the same number until they are there), or null: more input is needed.
const uint8_t *tds_step_take(tds_walker &w, tds_walk_cursor &c, size_t n);

// The next `n` bytes (n > 0) of a token worth having whole, or null: `result` says why. They are valid until
// tds_step_gathered_free.
const uint8_t *tds_step_gather(tds_walker &w, tds_walk_cursor &c, size_t n, tds_step_result &result);
void tds_step_gathered_free(tds_walker &w);

// Steps over items and then goes on with `next`. One character each:
//      1 to 9   so many bytes
//      b        B_VARCHAR
//      s        US_VARCHAR
//      v        US_VARBYTE
// With w.counted they all come out of w.left.
tds_step_result tds_step_over(tds_walker &w, const char *script, tds_walker::step_function next);

tds_step_result tds_step_token(tds_walker &w, tds_walk_cursor &c);

// TYPE_INFO; leaves w.type and w.kind and goes on with w.after_type.
tds_step_result tds_step_type(tds_walker &w, tds_walk_cursor &c);

// A value of w.kind; goes on with w.after_value.
tds_step_result tds_step_value(tds_walker &w, tds_walk_cursor &c);

// What follows a token's id. Metadata:
tds_step_result tds_step_colmetadata(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_altmetadata(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_returnvalue(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_dataclassification(tds_walker &w, tds_walk_cursor &c);
// Rows:
tds_step_result tds_step_row(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_nbcrow(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_altrow(tds_walker &w, tds_walk_cursor &c);
// Session:
tds_step_result tds_step_notice(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_done(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_returnstatus(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_envchange(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_loginack(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_featureextack(tds_walker &w, tds_walk_cursor &c);
tds_step_result tds_step_sessionstate(tds_walker &w, tds_walk_cursor &c);
// Tokens that say nothing here:
tds_step_result tds_step_skip_short(tds_walker &w, tds_walk_cursor &c); // length of 2 bytes
tds_step_result tds_step_skip_long(tds_walker &w, tds_walk_cursor &c);  // length of 4 bytes
