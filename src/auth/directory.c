#include "auth/app_password.h"
#include "auth/directory_int.h"

enum { DIRECTORIES_MAX = 8 };

struct directories {
    atomic_uint refs;
    size_t count;
    struct directory *of[DIRECTORIES_MAX];
    struct app_passwords *app_passwords;
};

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->n);
    buf_done(b);
}

void directory_entry_init(struct directory_entry *e)
{
    *e = (struct directory_entry){.disabled = false};
    buf_init(&e->name, DIRECTORY_NAME_MAX);
    buf_init(&e->secret, DIRECTORY_SECRET_MAX);
    buf_init(&e->scram[0], DIRECTORY_SECRET_MAX);
    buf_init(&e->scram[1], DIRECTORY_SECRET_MAX);
}

void directory_entry_done(struct directory_entry *e)
{
    wipe(&e->name);
    wipe(&e->secret);
    wipe(&e->scram[0]);
    wipe(&e->scram[1]);
    free(e->app_password);
    e->app_password = NULL;
}

/* One of them. */

void directory_init(struct directory *d, const struct directory_ops *ops)
{
    d->ops = ops;
    atomic_init(&d->refs, 1);
}

const char *directory_name(const struct directory *d)
{
    return d->ops->name;
}

struct directory *directory_ref(struct directory *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void directory_unref(struct directory *d)
{
    if (d && atomic_fetch_sub(&d->refs, 1) == 1)
        d->ops->free(d);
}

/* A failed look leaves nothing in ret. */
static int finish(struct directory *d, int r, struct directory_entry *ret)
{
    if (r == 0) {
        ret->directory = d->ops->name;
        return 0;
    }
    directory_entry_done(ret);
    directory_entry_init(ret);
    invariant(r == ERR_NOT_FOUND || r == ERR_DENIED || r == ERR_BUSY);
    return r;
}

static int not_here(const struct directory *d, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "%s: no such user", d->ops->name);
}

int directory_find(struct directory *d, struct span name, enum directory_purpose why,
                   struct directory_entry *ret, struct err *err)
{
    int r = d->ops->find ? d->ops->find(d, name, why, ret, err) : not_here(d, err);
    return finish(d, r, ret);
}

int directory_check(struct directory *d, struct span name, struct span password,
                    struct directory_entry *ret, struct err *err)
{
    int r = d->ops->passwords ? d->ops->check(d, name, password, ret, err) : not_here(d, err);
    if (r == 0 && ret->disabled)
        r = err_set(err, ERR_DENIED, "%s: the user is disabled", d->ops->name);
    return finish(d, r, ret);
}

int directory_token(struct directory *d, struct span token, struct directory_entry *ret,
                    struct err *err)
{
    int r = d->ops->tokens ? d->ops->token(d, token, ret, err)
                           : err_set(err, ERR_NOT_FOUND, "%s: not for tokens", d->ops->name);
    return finish(d, r, ret);
}

/* All of them. */

static const struct {
    const char *name;
    struct directory *(*make)(const struct conf *c, struct err *err);
} kinds[] = {
    {"file", directory_file_new},
#if MARTLET_WITH_PAM
    {"pam", directory_pam_new},
#endif
#if MARTLET_WITH_LDAP
    {"ldap", directory_ldap_new},
#endif
#if MARTLET_WITH_SQLITE || MARTLET_WITH_POSTGRESQL
    {"sql", directory_sql_new},
#endif
#if MARTLET_WITH_OAUTH2
    {"oauth2", directory_oauth2_new},
#endif
};

static int add(struct directories *d, const struct conf *c, const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        struct directory *one = kinds[i].make(c, err);
        if (!one)
            return err->code;
        d->of[d->count++] = one; /* each is there once (conf_check_directories) */
        return 0;
    }
    return err_set(err, ERR_INVALID, "auth.directories: there is no %s", name);
}

struct directories *directories_new(const struct conf *c, struct err *err)
{
    struct directories *d = xnew(struct directories);
    struct err local = {0};
    atomic_init(&d->refs, 1);
    const char *setting;
    struct err why = {0};
    int r = conf_check_directories(c, &setting, &why);
    if (r < 0)
        err_set(&local, r, "%s: %s", setting, why.text);
    for (size_t i = 0; r == 0 && i < c->auth_directories.count; i++)
        r = add(d, c, c->auth_directories.items[i], &local);
    if (r < 0) {
        if (err)
            *err = local;
        directories_unref(d);
        return NULL;
    }
    d->app_passwords = app_passwords_new(c->auth_app_passwords_file);
    return d;
}

struct directories *directories_ref(struct directories *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void directories_unref(struct directories *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    for (size_t i = 0; i < d->count; i++)
        directory_unref(d->of[i]);
    app_passwords_free(d->app_passwords);
    free(d);
}

size_t directories_count(const struct directories *d)
{
    return d->count;
}

struct directory *directories_at(struct directories *d, size_t i)
{
    return d->of[i];
}

bool directories_have_passwords(const struct directories *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->of[i]->ops->passwords)
            return true;
    return false;
}

bool directories_have_scram(const struct directories *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->of[i]->ops->scram)
            return true;
    return false;
}

bool directories_all_scram(struct directories *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct directory_ops *ops = d->of[i]->ops;
        if (ops->passwords && !(ops->all_scram && ops->all_scram(d->of[i])))
            return false;
    }
    return !app_passwords_any(d->app_passwords);
}

bool directories_have_tokens(const struct directories *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->of[i]->ops->tokens)
            return true;
    return false;
}

int directories_find(struct directories *d, struct span name, enum directory_purpose why,
                     struct directory_entry *ret, struct err *err)
{
    int r = err_set(err, ERR_NOT_FOUND, "no such user");
    for (size_t i = 0; i < d->count && r == ERR_NOT_FOUND; i++)
        r = directory_find(d->of[i], name, why, ret, err);
    return r;
}

/* The name of the account is what application passwords are kept under, so that the directory is
 * asked for it first. */
static int check_app_password(struct directories *d, struct span name, struct span password,
                              struct span service, struct directory_entry *ret, struct err *err)
{
    int r = directories_find(d, name, DIRECTORY_LOGIN, ret, err);
    if (r == 0)
        r = app_passwords_check(d->app_passwords, buf_span(&ret->name), password, service,
                                &ret->app_password, err);
    if (r == 0 && ret->disabled)
        r = err_set(err, ERR_DENIED, "%s: the user is disabled", ret->directory);
    if (r == 0)
        return 0;
    directory_entry_done(ret);
    directory_entry_init(ret);
    return r;
}

int directories_check(struct directories *d, struct span name, struct span password,
                      struct span service, struct directory_entry *ret, struct err *err)
{
    /* Before the directories: a wrong password may count there, and lock the user out. */
    if (app_password_looks_like(password)) {
        int r = check_app_password(d, name, password, service, ret, err);
        if (r != ERR_NOT_FOUND)
            return r;
    }
    int r = err_set(err, ERR_NOT_FOUND, "no such user");
    for (size_t i = 0; i < d->count && r == ERR_NOT_FOUND; i++)
        r = directory_check(d->of[i], name, password, ret, err);
    return r;
}

static int check_not_disabled(struct directories *d, struct span name, struct err *err)
{
    struct directory_entry e;
    struct err why = {0};
    directory_entry_init(&e);
    int r = directories_find(d, name, DIRECTORY_LOGIN, &e, &why);
    bool disabled = r == 0 && e.disabled;
    directory_entry_done(&e);
    if (disabled)
        return err_set(err, ERR_DENIED, "the user is disabled");
    return r == ERR_BUSY ? err_set(err, ERR_BUSY, "%s", why.text) : 0;
}

int directories_token(struct directories *d, struct span token, struct directory_entry *ret,
                      struct err *err)
{
    int r = err_set(err, ERR_NOT_FOUND, "no directory for tokens");
    for (size_t i = 0; i < d->count && r == ERR_NOT_FOUND; i++)
        r = directory_token(d->of[i], token, ret, err);
    if (r == 0)
        r = check_not_disabled(d, buf_span(&ret->name), err);
    if (r < 0) {
        directory_entry_done(ret);
        directory_entry_init(ret);
    }
    return r;
}
