#include "auth/users_edit.h"

#include "auth/edit_int.h"
#include "auth/password_int.h"
#include "auth/users_int.h"

enum users_change { CHANGE_ADD, CHANGE_SECRETS, CHANGE_DISABLE, CHANGE_ENABLE, CHANGE_REMOVE };

/* One pass over the lines, writing the new text. */
struct users_pass {
    enum users_change change;
    struct span name, secrets;
    struct buf out;
    bool found;
};

static void put_secrets(struct buf *out, bool disabled, struct span secrets)
{
    if (disabled)
        buf_put_byte(out, '!');
    if (secrets.n || disabled)
        buf_put_span(out, secrets);
    else
        buf_put_byte(out, '*');
}

static int on_line(void *arg, struct span line, unsigned number)
{
    struct users_pass *p = arg;
    struct span name, secrets;
    (void)number;
    if (!users_line_split(line, &name, &secrets) || !span_eq(name, p->name)) {
        buf_put_span(&p->out, line);
        buf_put_byte(&p->out, '\n');
        return 0;
    }
    p->found = true;
    if (p->change == CHANGE_REMOVE)
        return 0;
    bool was_disabled = password_disabled(secrets);
    bool disabled = p->change == CHANGE_DISABLE || (p->change != CHANGE_ENABLE && was_disabled);
    const char *end = secrets.p + secrets.n;
    struct span rest = span_make(end, (size_t)(line.p + line.n - end));
    secrets = p->change == CHANGE_SECRETS ? p->secrets : span_skip(secrets, was_disabled);
    buf_put(&p->out, line.p, (size_t)(name.p + name.n + 1 - line.p));
    put_secrets(&p->out, disabled, secrets);
    buf_put_span(&p->out, rest);
    buf_put_byte(&p->out, '\n');
    return 0;
}

static int check_result(const struct users_pass *p, const char *file, struct err *err)
{
    if (p->change == CHANGE_ADD && p->found)
        return err_set(err, ERR_EXISTS, "%s: user " SPAN_FMT " exists", file, SPAN_ARG(p->name));
    if (p->change != CHANGE_ADD && !p->found)
        return err_set(err, ERR_NOT_FOUND, "%s: no user " SPAN_FMT, file, SPAN_ARG(p->name));
    return buf_ok(&p->out) ? 0 : err_set(err, ERR_LIMIT, "%s: too large", file);
}

static int edit(const char *file, struct users_pass *p, struct err *err)
{
    struct edit e;
    int r = edit_begin(&e, file, err);
    if (r < 0)
        return r;
    buf_init(&p->out, BUF_UNLIMITED);
    (void)edit_each_line(buf_span(&e.text), on_line, p);
    if (p->change == CHANGE_ADD && !p->found) {
        buf_put_span(&p->out, p->name);
        buf_put_byte(&p->out, ':');
        put_secrets(&p->out, false, p->secrets);
        buf_put_byte(&p->out, '\n');
    }
    r = check_result(p, file, err);
    if (r == 0)
        r = edit_commit(&e, buf_span(&p->out), err);
    if (p->out.p)
        explicit_bzero(p->out.p, p->out.n);
    buf_done(&p->out);
    edit_end(&e);
    return r;
}

static int check_name(struct span name, struct err *err)
{
    if (!user_name_valid(name) || span_find_byte(name, ':') != SPAN_NPOS || name.p[0] == '#' ||
        !span_eq(span_trim(name), name))
        return err_set(err, ERR_INVALID, "not a name that a users file can have");
    return 0;
}

static int check_secrets(struct span secrets, struct err *err)
{
    struct span name, read;
    int r = password_secrets_valid(secrets, err);
    if (r < 0)
        return r;
    autobuf line = BUF_INIT(PASSWORD_SECRETS_MAX + 16);
    buf_put_lit(&line, "x:");
    buf_put_span(&line, secrets);
    /* What is read again must be what was written: no newline, colon, or space at the end. */
    if (memchr(line.p, '\n', line.n) || password_disabled(secrets) ||
        !users_line_split(buf_span(&line), &name, &read) || !span_eq(read, secrets))
        return err_set(err, ERR_INVALID, "not secrets that a users file can have");
    return 0;
}

int users_edit_add(const char *file, struct span name, struct span secrets, struct err *err)
{
    struct users_pass p = {.change = CHANGE_ADD, .name = name, .secrets = secrets};
    int r = check_name(name, err);
    if (r == 0)
        r = check_secrets(secrets, err);
    return r < 0 ? r : edit(file, &p, err);
}

int users_edit_secrets(const char *file, struct span name, struct span secrets, struct err *err)
{
    struct users_pass p = {.change = CHANGE_SECRETS, .name = name, .secrets = secrets};
    int r = check_secrets(secrets, err);
    return r < 0 ? r : edit(file, &p, err);
}

int users_edit_disable(const char *file, struct span name, bool disabled, struct err *err)
{
    struct users_pass p = {.change = disabled ? CHANGE_DISABLE : CHANGE_ENABLE, .name = name};
    return edit(file, &p, err);
}

int users_edit_remove(const char *file, struct span name, struct err *err)
{
    struct users_pass p = {.change = CHANGE_REMOVE, .name = name};
    return edit(file, &p, err);
}

/* Listing. */

struct users_list {
    int (*each)(void *arg, const struct users_listed *u);
    void *arg;
};

static int list_line(void *arg, struct span line, unsigned number)
{
    struct users_list *l = arg;
    struct users_listed u = {.disabled = false};
    struct password_secret s;
    struct span secrets;
    (void)number;
    if (!users_line_split(line, &u.name, &secrets))
        return 0;
    u.disabled = password_disabled(secrets);
    while (password_secret_next(&secrets, &s)) {
        bool scram = s.form == PASSWORD_SCRAM_SHA1 || s.form == PASSWORD_SCRAM_SHA256;
        u.password |= s.form != PASSWORD_NOTHING;
        u.scram |= scram || s.form == PASSWORD_PLAIN;
    }
    return l->each(l->arg, &u);
}

int users_edit_each(const char *file, int (*each)(void *arg, const struct users_listed *u),
                    void *arg, struct err *err)
{
    struct users_list l = {each, arg};
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    int r = users_read_file(file, &text, err);
    if (r == 0)
        r = edit_each_line(buf_span(&text), list_line, &l);
    if (text.p)
        explicit_bzero(text.p, text.n);
    buf_done(&text);
    return r == ERR_NOT_FOUND ? 0 : r;
}
