/* tools/martletctl/table.h: rows of values, for people or for programs.
 *
 * For people: a header and aligned columns, as wide as the values need; on a terminal no wider than
 * it, by cutting the flexible columns. With --json: one object a row with the columns' keys,
 * printed as soon as the row ends. Values are given by column number, in any order; those not given
 * are empty, null in JSON. Control characters and bytes that are not UTF-8 never reach a terminal.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "base/buf.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_SIZE,    /* octets; "3.2 MB" for people */
    COLUMN_FLAG,    /* "true" or "yes"; true, false in JSON */
    COLUMN_SECONDS, /* "3 min" for people */
    COLUMN_TIME,    /* microseconds since 1970; local time for people, RFC 3339 in UTC in JSON */
    COLUMN_LIST,    /* words with single spaces between; an array in JSON */
};

struct column {
    const char *key;   /* in JSON; a contract: man/martletctl.1. NULL: for people only */
    const char *title; /* NULL: in JSON only */
    enum column_kind kind;
    bool flexible; /* may be cut on a narrow terminal */
};

struct table;

struct table *table_new(const struct column *columns, size_t n, bool json);
void table_set(struct table *t, size_t column, struct span value);
void table_set_number(struct table *t, size_t column, uint64_t value);
/* By key, as control results give it (access.h); keys that no column has are ignored. */
void table_set_key(struct table *t, struct span key, struct span value);
void table_row(struct table *t); /* ends a row */
size_t table_rows(const struct table *t);
/* Prints what was not printed yet, and frees it. empty: what to say to people of a table without
 * rows, or NULL. */
void table_end(struct table *t, const char *empty);

/* "  key  value" lines of one object for people, the same JSON. */
void table_end_as_record(struct table *t);

/* A JSON string with its quotes (RFC 8259); what is not UTF-8 becomes U+FFFD. */
void json_string(struct buf *b, struct span s);
/* For a terminal: control characters and what is not UTF-8 as \xXX. */
void put_printable(struct buf *b, struct span s);
/* "3.2 MB" */
void put_size(struct buf *b, uint64_t octets);
/* Local time for people, or RFC 3339 in UTC. */
void put_time(struct buf *b, uint64_t wall_us, bool utc);

/* A progress bar on standard error, if that is a terminal, from the second second on. */
struct progress {
    bool allowed, shown;
    uint64_t begun_us, drawn_us;
};
void progress_begin(struct progress *p, bool allowed);
void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t total);
void progress_clear(struct progress *p);

#endif
