#include <sqlite3.h>
#include <sys/stat.h>

#include "auth/sql_int.h"

struct sqlite {
    sqlite3 *db;
    sqlite3_stmt *statement;
    char *path;
    dev_t device;
    ino_t inode;
};

static void close_db(void *connection)
{
    struct sqlite *s = connection;
    sqlite3_finalize(s->statement);
    sqlite3_close(s->db);
    free(s->path);
    free(s);
}

static void *open_db(const struct sql_conf *c, struct err *err)
{
    struct sqlite *s = xnew(struct sqlite);
    struct stat st;
    s->path = span_dup(span_str(c->database));
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int r = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_busy_timeout(s->db, (int)c->timeout_s * 1000);
    if (r == SQLITE_OK)
        r = sqlite3_prepare_v3(s->db, c->query, -1, SQLITE_PREPARE_PERSISTENT, &s->statement, NULL);
    if (r == SQLITE_OK && sqlite3_bind_parameter_count(s->statement) == 1 &&
        stat(s->path, &st) == 0) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
        return s;
    }
    err_set(err, ERR_BUSY, "sql: %s: %s", s->path,
            r != SQLITE_OK ? sqlite3_errmsg(s->db) : "the query has not one parameter");
    close_db(s);
    return NULL;
}

/* A connection to a file that was replaced would see the old one for ever. */
static bool replaced(const struct sqlite *s)
{
    struct stat st;
    return stat(s->path, &st) < 0 || st.st_dev != s->device || st.st_ino != s->inode;
}

static int take_row(sqlite3_stmt *st, struct directory_entry *ret, struct err *err)
{
    int r = 0;
    for (int i = 0; i < sqlite3_column_count(st) && r == 0; i++) {
        struct span value = SPAN_EMPTY;
        if (sqlite3_column_type(st, i) != SQLITE_NULL) {
            const void *text = sqlite3_column_text(st, i);
            value = span_make(text ? text : "", (size_t)sqlite3_column_bytes(st, i));
        }
        r = sql_take_column(span_str(sqlite3_column_name(st, i)), value, ret, err);
    }
    return r < 0 ? ERR_BUSY : 0;
}

static int query(void *connection, struct span user, struct directory_entry *ret, struct err *err)
{
    struct sqlite *s = connection;
    sqlite3_stmt *st = s->statement;
    if (replaced(s))
        return err_set(err, ERR_CLOSED, "sql: %s was replaced", s->path);
    int r = sqlite3_bind_text(st, 1, user.p, (int)user.n, SQLITE_TRANSIENT), result = ERR_NOT_FOUND;
    if (r == SQLITE_OK)
        r = sqlite3_step(st);
    if (r == SQLITE_ROW) {
        result = take_row(st, ret, err);
        r = sqlite3_step(st);
        if (r == SQLITE_ROW && result == 0)
            result = err_set(err, ERR_BUSY, "sql: the query gives several rows");
    } else if (r == SQLITE_DONE) {
        err_set(err, ERR_NOT_FOUND, "sql: no such row");
    }
    if (r != SQLITE_ROW && r != SQLITE_DONE)
        result = err_set(err, ERR_BUSY, "sql: %s", sqlite3_errmsg(s->db));
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return result;
}

const struct sql_driver sql_sqlite = {
    .mark = '?', .open = open_db, .close = close_db, .query = query};
