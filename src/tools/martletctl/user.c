/* user add, list, passwd, disable, enable, delete: in the users file, which martlet-auth reads
 * again by itself. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/app_password.h"
#include "auth/password.h"
#include "auth/precis.h"
#include "auth/users_edit.h"
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

struct search {
    struct span name;
    bool found;
};

static int compare_user(void *arg, const struct users_listed *u)
{
    struct search *s = arg;
    s->found = s->found || span_eq(u->name, s->name);
    return 0;
}

/* The name as martlet-auth will look it up (RFC 8265), unless the file has it as it was given: what
 * somebody wrote there by hand can still be removed. */
int ctl_user(struct ctl *c)
{
    struct search s = {span_str(c->args[0]), false};
    struct err err;
    autobuf name = BUF_INIT(PRECIS_MAX);
    bool keep = c->conf->auth_username_case == CONF_CASE_KEEP;
    if (*c->conf->auth_users_file)
        (void)!users_edit_each(c->conf->auth_users_file, compare_user, &s, &err);
    if (s.found)
        buf_put_span(&name, s.name);
    else if (precis_username(s.name, keep, &name) || name.n > USER_NAME_MAX)
        return ctl_fail(c, EXIT_FAILED, ERR_INVALID, "\"%s\" cannot be the name of a user",
                        c->args[0]);
    free(c->user);
    c->user = buf_take(&name);
    return 0;
}

static int users_file(struct ctl *c, const char **ret)
{
    int code = ctl_conf(c);
    if (code == 0 && c->arg_count)
        code = ctl_user(c);
    if (code)
        return code;
    *ret = c->conf->auth_users_file;
    if (!**ret)
        return ctl_fail(c, EXIT_FAILED, ERR_NOT_FOUND,
                        "auth.users_file is empty: users are in another directory, and are changed "
                        "there");
    return 0;
}

static int failed(struct ctl *c, const struct err *err)
{
    const char *user = c->user;
    if (err->code == ERR_NOT_FOUND)
        return ctl_fail(c, EXIT_FAILED, err->code, "there is no user %s in %s", user,
                        c->conf->auth_users_file);
    if (err->code == ERR_EXISTS)
        return ctl_fail(
            c, EXIT_FAILED, err->code,
            "there is a user %s already; \"martletctl user passwd\" changes the password", user);
    return ctl_fail(c, EXIT_FAILED, err->code, "%s", err->text);
}

/* A file that root has just made must be readable for martlet-auth. */
void ctl_give_to_auth(struct ctl *c, const char *file)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam(c->conf->process_auth_user) : NULL;
    if (pw && chown(file, pw->pw_uid, pw->pw_gid))
        fprintf(stderr, "martletctl: %s: %s\n", file, strerror(errno));
}

/* Ends the sessions of a user, if a server runs. */
static uint64_t end_sessions(struct ctl *c, const char *user)
{
    struct server *s;
    struct err err;
    struct span why;
    uint64_t n = 0;
    if (server_connect(c, &s, &err))
        return 0;
    (void)!ctl_kick(s, user, &n, &why);
    server_close(s);
    return n;
}

/* --- add and passwd --- */

enum { MADE_USER, MADE_RESULT, MADE_PASSWORD, MADE_ENDED };
static const struct column made_columns[] = {
    [MADE_USER] = {"user", "user", COLUMN_TEXT, false},
    [MADE_RESULT] = {"result", NULL, COLUMN_TEXT, false},
    [MADE_PASSWORD] = {"password", "password", COLUMN_TEXT, false},
    [MADE_ENDED] = {"sessions_ended", "sessions ended", COLUMN_NUMBER, false},
};

static int show_made(struct ctl *c, bool add, struct span password, uint64_t ended)
{
    if (!ctl_has(c, OPTION_JSON) && !ctl_has(c, OPTION_GENERATE))
        return ctl_done(c, add ? "%s is added" : "the password of %s is changed", c->user);
    struct table *t = table_new(made_columns, ARRAY_LEN(made_columns), ctl_has(c, OPTION_JSON));
    table_set(t, MADE_USER, span_str(c->user));
    table_set(t, MADE_RESULT, SPAN("ok"));
    if (ctl_has(c, OPTION_GENERATE))
        table_set(t, MADE_PASSWORD, password);
    if (ctl_has(c, OPTION_KICK))
        table_set_number(t, MADE_ENDED, ended);
    table_row(t);
    table_end_as_record(t);
    return EXIT_FINE;
}

static int make_secrets(struct ctl *c, struct span password, struct buf *to)
{
    enum password_kind kind = PASSWORD_YESCRYPT_SCRAM;
    const char *scheme = c->values[OPTION_SCHEME];
    struct err err = {0};
    autobuf prepared = BUF_INIT(PRECIS_MAX);
    if (scheme && !password_kind_parse(span_str(scheme), &kind))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID,
                        "there is no scheme \"%s\"; there are yescrypt+scram, yescrypt, bcrypt, "
                        "sha512, argon2id, scram",
                        scheme);
    if (precis_password(password, &prepared))
        return ctl_fail(c, EXIT_FAILED, ERR_INVALID,
                        "this cannot be a password: it has control characters, or is not UTF-8");
    int rc = password_make(kind, buf_span(&prepared), to, &err);
    ctl_wipe(&prepared);
    return rc ? ctl_fail(c, EXIT_FAILED, rc, "%s", err.text) : 0;
}

static int set_password(struct ctl *c, bool add)
{
    const char *file;
    struct err err = {0};
    autobuf password = BUF_INIT(2048), secrets = BUF_INIT(65536);
    uint64_t ended = 0;
    int code = users_file(c, &file);
    if (code == 0)
        code = ctl_password(c, &password);
    if (code == 0)
        code = make_secrets(c, buf_span(&password), &secrets);
    if (code == 0) {
        bool fresh = access(file, F_OK) != 0;
        if (add ? users_edit_add(file, span_str(c->user), buf_span(&secrets), &err)
                : users_edit_secrets(file, span_str(c->user), buf_span(&secrets), &err))
            code = failed(c, &err);
        else if (fresh)
            ctl_give_to_auth(c, file);
    }
    if (code == 0 && ctl_has(c, OPTION_KICK))
        ended = end_sessions(c, c->user);
    if (code == 0)
        code = show_made(c, add, buf_span(&password), ended);
    ctl_wipe(&password);
    ctl_wipe(&secrets);
    return code;
}

int run_user_add(struct ctl *c)
{
    return set_password(c, true);
}

int run_user_passwd(struct ctl *c)
{
    return set_password(c, false);
}

/* --- list --- */

enum { LIST_USER, LIST_DISABLED, LIST_PASSWORD, LIST_SCRAM, LIST_APP_PASSWORDS };
static const struct column list_columns[] = {
    [LIST_USER] = {"user", "USER", COLUMN_TEXT, true},
    [LIST_DISABLED] = {"disabled", "DISABLED", COLUMN_FLAG, false},
    [LIST_PASSWORD] = {"password", "PASSWORD", COLUMN_FLAG, false},
    [LIST_SCRAM] = {"scram", "SCRAM", COLUMN_FLAG, false},
    [LIST_APP_PASSWORDS] = {"app_passwords", "APP PASSWORDS", COLUMN_NUMBER, false},
};

struct listing {
    struct ctl *ctl;
    struct table *table;
};

static int count_one(void *arg, const struct app_password *p)
{
    (void)p;
    ++*(uint64_t *)arg;
    return 0;
}

static int list_user(void *arg, const struct users_listed *u)
{
    struct listing *l = arg;
    struct table *t = l->table;
    const char *file = l->ctl->conf->auth_app_passwords_file;
    struct err err;
    uint64_t n = 0;
    if (*file)
        (void)!app_password_each(file, u->name, count_one, &n, &err);
    table_set(t, LIST_USER, u->name);
    table_set(t, LIST_DISABLED, u->disabled ? SPAN("yes") : SPAN("no"));
    table_set(t, LIST_PASSWORD, u->password ? SPAN("yes") : SPAN("no"));
    table_set(t, LIST_SCRAM, u->scram ? SPAN("yes") : SPAN("no"));
    table_set_number(t, LIST_APP_PASSWORDS, n);
    table_row(t);
    return 0;
}

int run_user_list(struct ctl *c)
{
    const char *file;
    struct err err = {0};
    struct listing l = {c, NULL};
    int code = users_file(c, &file);
    if (code)
        return code;
    l.table = table_new(list_columns, ARRAY_LEN(list_columns), ctl_has(c, OPTION_JSON));
    int rc = users_edit_each(file, list_user, &l, &err);
    table_end(l.table, rc ? NULL : "There are no users.");
    return rc ? ctl_fail(c, EXIT_FAILED, rc, "%s", err.text) : EXIT_FINE;
}

/* --- disable, enable, delete --- */

static int set_disabled(struct ctl *c, bool disabled)
{
    const char *file;
    struct err err = {0};
    int code = users_file(c, &file);
    if (code)
        return code;
    if (users_edit_disable(file, span_str(c->user), disabled, &err))
        return failed(c, &err);
    uint64_t n = disabled ? end_sessions(c, c->user) : 0;
    if (n)
        return ctl_done(c, "%s is disabled; %llu session%s ended", c->user, (unsigned long long)n,
                        n == 1 ? "" : "s");
    return ctl_done(c, "%s is %s", c->user, disabled ? "disabled" : "enabled");
}

int run_user_disable(struct ctl *c)
{
    return set_disabled(c, true);
}

int run_user_enable(struct ctl *c)
{
    return set_disabled(c, false);
}

static int confirm_delete(struct ctl *c)
{
    autobuf question = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&question, "The user %s and all mail of the account will be deleted for good.",
               c->user);
    return ctl_has(c, OPTION_WITH_MAIL) ? ctl_confirm(c, question.p) : 0;
}

/* 0, ERR_NOT_FOUND, or a negative error with its sentence. */
static int delete_mail(struct ctl *c, const char *user, struct err *err)
{
    struct access access = {.run = NULL};
    struct err why = {0};
    int code = access_open(c, &access);
    if (code)
        return err_set(err, ERR_CLOSED, "the user is deleted, its mail is not");
    int rc = access.discard(access.ctx, user, &why);
    access.close(access.ctx);
    return rc ? err_set(err, rc, "%s", why.text) : 0;
}

int run_user_delete(struct ctl *c)
{
    const char *file;
    struct err err = {0};
    bool with_mail = ctl_has(c, OPTION_WITH_MAIL);
    int code = users_file(c, &file);
    if (code == 0)
        code = confirm_delete(c);
    if (code)
        return code;
    const char *user = c->user;
    int gone = users_edit_remove(file, span_str(user), &err);
    if (gone && (gone != ERR_NOT_FOUND || !with_mail))
        return failed(c, &err);
    const char *app_file = c->conf->auth_app_passwords_file;
    if (*app_file && app_password_revoke_all(app_file, span_str(user), &err) < 0)
        return ctl_fail(c, EXIT_FAILED, err.code, "%s", err.text);
    if (!with_mail) {
        end_sessions(c, user);
        return ctl_done(c, "%s is deleted; the mail is still there", user);
    }
    int rc = delete_mail(c, user, &err);
    if (rc == ERR_NOT_FOUND && gone)
        return ctl_fail(c, EXIT_FAILED, rc, "there is neither a user nor an account %s", user);
    if (rc && rc != ERR_NOT_FOUND)
        return ctl_fail(c, EXIT_FAILED, rc, "%s: %s", user, err.text);
    if (gone)
        return ctl_done(
            c,
            "the mail of %s is deleted; the user was not in %s: if another directory has "
            "it, delete it there",
            user, file);
    return ctl_done(c, rc ? "%s is deleted; there was no mail" : "%s and its mail are deleted",
                    user);
}
