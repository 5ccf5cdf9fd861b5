/* user app-password add, list, revoke. */
#include "auth/app_password.h"

#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/martletctl/ctl.h"
#include "tools/martletctl/table.h"

static int passwords_file(struct ctl *c, const char **ret)
{
    int code = ctl_conf(c);
    if (code == 0 && c->arg_count)
        code = ctl_user(c);
    if (code)
        return code;
    *ret = c->conf->auth_app_passwords_file;
    if (!**ret)
        return ctl_fail(c, EXIT_FAILED, ERR_NOT_FOUND,
                        "auth.app_passwords_file is empty: there are no app passwords");
    return 0;
}

/* "90d", "12h", "2w", or a day, at the end of which it expires: "2027-01-31". */
static bool parse_expiry(const char *text, uint64_t now, uint64_t *ret)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    struct tm tm = {.tm_isdst = -1, .tm_hour = 24};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end && !*end) {
        tm.tm_hour = 24;
        tm.tm_isdst = -1;
        time_t t = mktime(&tm);
        *ret = (uint64_t)t;
        return t > 0 && (uint64_t)t > now;
    }
    size_t n = strlen(text);
    uint64_t count;
    for (size_t i = 0; n && i < ARRAY_LEN(units); i++) {
        if (text[n - 1] != units[i].unit)
            continue;
        if (!span_to_u64(span_make(text, n - 1), 1000000, &count) || count == 0)
            return false;
        *ret = now + count * units[i].seconds;
        return true;
    }
    return false;
}

enum { COLUMN_USER, COLUMN_ID, COLUMN_NAME, COLUMN_PROTOCOLS, COLUMN_EXPIRES, COLUMN_CREATED };
static const struct column list_columns[] = {
    [COLUMN_USER] = {"user", "USER", COLUMN_TEXT, true},
    [COLUMN_ID] = {"id", "ID", COLUMN_TEXT, false},
    [COLUMN_NAME] = {"name", "NAME", COLUMN_TEXT, true},
    [COLUMN_PROTOCOLS] = {"protocols", "PROTOCOLS", COLUMN_LIST, true},
    [COLUMN_EXPIRES] = {"expires", "EXPIRES", COLUMN_TIME, false},
    [COLUMN_CREATED] = {"created", "CREATED", COLUMN_TIME, false},
};

static void put_words(struct table *t, struct span services)
{
    autobuf words = BUF_INIT(BUF_UNLIMITED);
    struct span word;
    while (span_split(&services, ',', &word)) {
        if (words.n)
            buf_put_byte(&words, ' ');
        buf_put_span(&words, word);
    }
    table_set(t, COLUMN_PROTOCOLS, buf_span(&words));
}

static int show_one(void *arg, const struct app_password *p)
{
    struct table *t = arg;
    table_set(t, COLUMN_USER, p->user);
    table_set(t, COLUMN_ID, p->id);
    table_set(t, COLUMN_NAME, p->name);
    put_words(t, p->services);
    if (p->expires)
        table_set_number(t, COLUMN_EXPIRES, p->expires * 1000000);
    table_set_number(t, COLUMN_CREATED, p->created * 1000000);
    table_row(t);
    return 0;
}

int run_app_password_list(struct ctl *c)
{
    const char *file;
    struct err err = {0};
    int code = passwords_file(c, &file);
    if (code)
        return code;
    struct table *t = table_new(list_columns, ARRAY_LEN(list_columns), ctl_has(c, OPTION_JSON));
    struct span user = c->arg_count ? span_str(c->user) : SPAN_EMPTY;
    int rc = app_password_each(file, user, show_one, t, &err);
    table_end(t, rc ? NULL : "There are no app passwords.");
    return rc ? ctl_fail(c, EXIT_FAILED, rc, "%s", err.text) : EXIT_FINE;
}

static void show_made(struct ctl *c, struct span id, struct span secret)
{
    static const struct column columns[] = {{"user", "user", COLUMN_TEXT, false},
                                            {"name", "name", COLUMN_TEXT, false},
                                            {"id", "id", COLUMN_TEXT, false},
                                            {"password", "password", COLUMN_TEXT, false}};
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    table_set(t, 0, span_str(c->user));
    table_set(t, 1, span_str(c->args[1]));
    table_set(t, 2, id);
    table_set(t, 3, secret);
    table_row(t);
    table_end_as_record(t);
    if (!ctl_has(c, OPTION_JSON) && !ctl_has(c, OPTION_QUIET))
        puts("The password is shown this once.");
}

int run_app_password_add(struct ctl *c)
{
    const char *file, *when = c->values[OPTION_EXPIRES], *protocols = c->values[OPTION_PROTOCOLS];
    struct err err = {0};
    uint64_t expires = 0;
    autobuf secret = BUF_INIT(256), id = BUF_INIT(256);
    int code = passwords_file(c, &file);
    if (code)
        return code;
    if (when && !parse_expiry(when, clock_wall_us() / 1000000, &expires))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID,
                        "--expires %s: allowed are such as 90d, 12h, 2w, or a day to come, such as "
                        "2030-12-31",
                        when);
    bool fresh = access(file, F_OK) != 0;
    int rc = app_password_add(file, span_str(c->user), span_str(c->args[1]),
                              span_str(protocols ? protocols : ""), expires, &secret, &id, &err);
    if (rc == ERR_EXISTS)
        return ctl_fail(c, EXIT_FAILED, rc,
                        "%s has an app password \"%s\" already; revoke it first", c->user,
                        c->args[1]);
    if (rc)
        return ctl_fail(c, EXIT_FAILED, rc, "%s", err.text);
    if (fresh)
        ctl_give_to_auth(c, file);
    show_made(c, buf_span(&id), buf_span(&secret));
    ctl_wipe(&secret);
    return EXIT_FINE;
}

int run_app_password_revoke(struct ctl *c)
{
    const char *file;
    struct err err = {0};
    int code = passwords_file(c, &file);
    if (code)
        return code;
    int rc = app_password_revoke(file, span_str(c->user), span_str(c->args[1]), &err);
    if (rc == ERR_NOT_FOUND)
        return ctl_fail(c, EXIT_FAILED, rc, "%s has no app password \"%s\"", c->user, c->args[1]);
    if (rc)
        return ctl_fail(c, EXIT_FAILED, rc, "%s", err.text);
    return ctl_done(c, "%s: app password \"%s\" revoked", c->user, c->args[1]);
}
