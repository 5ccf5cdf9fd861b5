#include "auth/directory_int.h"
#include "auth/password.h"
#include "auth/pool_int.h"
#include "auth/sql_int.h"
#include "auth/users.h"

enum { QUERY_MAX = 16384 };

struct directory_sql {
    struct directory base;
    const struct sql_driver *driver;
    struct sql_conf conf;
    struct pool_ops pool_ops;
    struct pool *pool;
    struct password_examples *examples;
};

static struct directory_sql *of(struct directory *d)
{
    return container_of(d, struct directory_sql, base);
}

static bool is_word(char c)
{
    return ascii_is_alpha((unsigned char)c) || ascii_is_digit((unsigned char)c) || c == '_';
}

/* The length of a placeholder that begins at i, or 0. */
static size_t placeholder(struct span q, size_t i)
{
    struct span rest = span_skip(q, i);
    if (span_starts(rest, SPAN("%u")))
        return 2;
    if (!span_starts(rest, SPAN(":user")) || (rest.n > 5 && is_word(rest.p[5])))
        return 0;
    return i > 0 && q.p[i - 1] == ':' ? 0 : 5; /* ::user is a cast */
}

int sql_placeholders(struct span query, char mark, struct buf *out)
{
    char quote = '\0';
    bool any = false;
    for (size_t i = 0; i < query.n; i++) {
        char c = query.p[i];
        size_t n = quote ? 0 : placeholder(query, i);
        if (quote ? c == quote : c == '\'' || c == '"')
            quote = quote ? '\0' : c;
        if (n) {
            buf_printf(out, "%c1", mark);
            any = true;
            i += n - 1;
        } else {
            buf_put_byte(out, c);
        }
    }
    return any && buf_ok(out) ? 0 : ERR_INVALID;
}

/* What is not plainly "no" is "yes": the safe side. */
static bool is_true(struct span v)
{
    static const char *const no[] = {"", "0", "f", "false", "n", "no", "off"};
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (span_ieq(v, span_str(no[i])))
            return false;
    return true;
}

int sql_take_column(struct span column, struct span value, struct directory_entry *ret,
                    struct err *err)
{
    if (span_ieq(column, SPAN("name"))) {
        if (!user_name_valid(value))
            return err_set(err, ERR_INVALID, "sql: a name that cannot be");
        buf_reset(&ret->name);
        buf_put_span(&ret->name, value);
    } else if (span_ieq(column, SPAN("disabled"))) {
        ret->disabled |= value.p && is_true(value);
    } else if (span_ieq(column, SPAN("secret")) && value.p) {
        struct err why;
        if (password_secrets_valid(value, &why) < 0)
            return err_set(err, ERR_INVALID, "sql: %s", why.text);
        ret->disabled |= password_disabled(value);
        buf_put_span(&ret->secret, span_skip(value, password_disabled(value)));
    }
    return 0;
}

static int look_up(struct directory_sql *s, struct span name, struct directory_entry *ret,
                   struct err *err)
{
    for (;;) {
        bool fresh;
        void *c = pool_take(s->pool, &fresh, err);
        if (!c)
            return ERR_BUSY;
        buf_put_span(&ret->name, name); /* unless the row says otherwise */
        int r = s->driver->query(c, name, ret, err);
        pool_give(s->pool, c, r != ERR_CLOSED && r != ERR_IO);
        if (r == 0 || r == ERR_NOT_FOUND)
            return r;
        directory_entry_done(ret);
        directory_entry_init(ret);
        if (fresh || r != ERR_CLOSED)
            return ERR_BUSY;
    }
}

static int sql_find(struct directory *d, struct span name, enum directory_purpose why,
                    struct directory_entry *ret, struct err *err)
{
    int r = look_up(of(d), name, ret, err);
    for (int i = 0; r == 0 && why == DIRECTORY_LOGIN && i < 2; i++)
        if (!password_scram(buf_span(&ret->secret), i == DIRECTORY_SCRAM_SHA256, &ret->scram[i]))
            buf_reset(&ret->scram[i]);
    return r;
}

static int sql_check(struct directory *d, struct span name, struct span password,
                     struct directory_entry *ret, struct err *err)
{
    struct directory_sql *s = of(d);
    int r = look_up(s, name, ret, err);
    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    struct span secrets = r == 0 ? buf_span(&ret->secret) : SPAN_EMPTY;
    password_examples_learn(s->examples, secrets);
    bool fits = password_examples_check(s->examples, name, secrets, password);
    return r < 0 || fits ? r : err_set(err, ERR_DENIED, "sql: wrong password");
}

static void *open_one(void *arg, struct err *err)
{
    const struct directory_sql *s = arg;
    return s->driver->open(&s->conf, err);
}

static void sql_free(struct directory *d)
{
    struct directory_sql *s = of(d);
    pool_free(s->pool);
    password_examples_free(s->examples);
    explicit_bzero(s->conf.database, strlen(s->conf.database));
    free(s->conf.database);
    free(s->conf.query);
    free(s);
}

static const struct sql_driver *driver_of(const struct conf *c)
{
#if MARTLET_WITH_SQLITE
    if (c->auth_sql_driver == CONF_SQL_SQLITE)
        return &sql_sqlite;
#endif
#if MARTLET_WITH_POSTGRESQL
    if (c->auth_sql_driver == CONF_SQL_POSTGRESQL)
        return &sql_postgresql;
#endif
    return NULL;
}

struct directory *directory_sql_new(const struct conf *c, struct err *err)
{
    static const struct directory_ops ops = {.name = "sql",
                                             .passwords = true,
                                             .scram = true,
                                             .find = sql_find,
                                             .check = sql_check,
                                             .free = sql_free};
    autobuf query = BUF_INIT(QUERY_MAX);
    const struct sql_driver *driver = driver_of(c);
    invariant(driver); /* conf_check_directories */
    if (sql_placeholders(span_str(c->auth_sql_query), driver->mark, &query) < 0) {
        err_set(err, ERR_INVALID, "auth.sql.query: no :user outside of quotes");
        return NULL;
    }
    struct directory_sql *s = xnew(struct directory_sql);
    directory_init(&s->base, &ops);
    s->driver = driver;
    s->conf.database = span_dup(span_str(c->auth_sql_database));
    s->conf.query = buf_take(&query);
    s->conf.timeout_s = c->auth_sql_timeout;
    s->examples = password_examples_new(true);
    s->pool_ops = (struct pool_ops){open_one, driver->close};
    s->pool = pool_new(&s->pool_ops, s, c->auth_sql_connections, c->auth_sql_timeout);
    return &s->base;
}
