#include <libpq-fe.h>
#include <poll.h>

#include "auth/sql_int.h"
#include "base/clock.h"

struct postgresql {
    PGconn *c;
    uint64_t timeout_us;
};

static void close_db(void *connection)
{
    struct postgresql *p = connection;
    PQfinish(p->c);
    free(p);
}

static int fail(const struct postgresql *p, int code, struct err *err)
{
    struct span text = span_trim(span_str(PQerrorMessage(p->c)));
    text = span_head(text, span_find_byte(text, '\n'));
    return err_set(err, code, "sql: " SPAN_FMT, SPAN_ARG(text));
}

/* The first result, or NULL when it does not come in time. */
static PGresult *wait_result(struct postgresql *p)
{
    uint64_t until = clock_monotonic_us() + p->timeout_us, now;
    while (PQconsumeInput(p->c) && PQisBusy(p->c)) {
        struct pollfd fd = {.fd = PQsocket(p->c), .events = POLLIN};
        now = clock_monotonic_us();
        if (now >= until || poll(&fd, 1, (int)((until - now) / 1000) + 1) == 0)
            return NULL;
    }
    PGresult *first = PQisBusy(p->c) ? NULL : PQgetResult(p->c), *more;
    while (first && (more = PQgetResult(p->c)))
        PQclear(more);
    return first;
}

static int prepare(struct postgresql *p, const char *query, struct err *err)
{
    if (!PQsendPrepare(p->c, "user", query, 1, NULL))
        return fail(p, ERR_BUSY, err);
    PGresult *r = wait_result(p);
    if (!r && PQstatus(p->c) == CONNECTION_OK)
        return err_set(err, ERR_BUSY, "sql: no answer in time");
    bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return good ? 0 : fail(p, ERR_BUSY, err);
}

static void *open_db(const struct sql_conf *c, struct err *err)
{
    /* Later ones win: what the administrator writes over our defaults. */
    const char *keys[] = {"connect_timeout", "application_name", "client_encoding", "dbname", NULL};
    char timeout[24];
    snprintf(timeout, sizeof(timeout), "%u", (unsigned)MAX(c->timeout_s, 2));
    const char *values[] = {timeout, "martlet", "UTF8", c->database, NULL};
    struct postgresql *p = xnew(struct postgresql);
    p->timeout_us = c->timeout_s * 1000000;
    p->c = PQconnectdbParams(keys, values, 1);
    if (PQstatus(p->c) != CONNECTION_OK)
        fail(p, ERR_BUSY, err);
    else if (prepare(p, c->query, err) == 0)
        return p;
    close_db(p);
    return NULL;
}

static int take_row(const PGresult *res, struct directory_entry *ret, struct err *err)
{
    int r = 0;
    for (int i = 0; i < PQnfields(res) && r == 0; i++) {
        struct span value = SPAN_EMPTY;
        if (!PQgetisnull(res, 0, i))
            value = span_make(PQgetvalue(res, 0, i), (size_t)PQgetlength(res, 0, i));
        r = sql_take_column(span_str(PQfname(res, i)), value, ret, err);
    }
    return r < 0 ? ERR_BUSY : 0;
}

static int query(void *connection, struct span user, struct directory_entry *ret, struct err *err)
{
    struct postgresql *p = connection;
    autofree char *name = span_dup(user);
    const char *values[] = {name};
    if (!PQsendQueryPrepared(p->c, "user", 1, values, NULL, NULL, 0))
        return fail(p, ERR_CLOSED, err);
    PGresult *res = wait_result(p);
    int r;
    if (!res)
        r = PQstatus(p->c) == CONNECTION_BAD ? fail(p, ERR_CLOSED, err)
                                             : err_set(err, ERR_IO, "sql: no answer in time");
    else if (PQresultStatus(res) != PGRES_TUPLES_OK)
        r = fail(p, ERR_CLOSED, err); /* also after DDL: a plan that is of no use any more */
    else if (PQntuples(res) > 1)
        r = err_set(err, ERR_BUSY, "sql: the query gives several rows");
    else if (PQntuples(res) == 0)
        r = err_set(err, ERR_NOT_FOUND, "sql: no such row");
    else
        r = take_row(res, ret, err);
    PQclear(res);
    return r;
}

const struct sql_driver sql_postgresql = {
    .mark = '$', .open = open_db, .close = close_db, .query = query};
