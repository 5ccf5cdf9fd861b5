/* LDAP as a directory: search for the user's entry, then bind as it with the password.
 *
 * Two pools: connections bound as the service account, which search, and connections whose
 * identity changes with every check. */
#include <ldap.h>

#include "auth/directory_int.h"
#include "auth/ldap_filter.h"
#include "auth/password.h"
#include "auth/pool_int.h"
#include "auth/users.h"

enum { FILTER_MAX = 8192, DN_MAX = 4096 };

struct directory_ldap {
    struct directory dir;
    char *url, *ca_file, *bind_dn, *bind_password, *base, *filter;
    char *name_attribute, *disabled_filter, *secret_attribute;
    bool starttls;
    int scope;
    struct timeval timeout;
    struct pool *searchers, *checkers;
};

static struct directory_ldap *of(struct directory *d)
{
    return container_of(d, struct directory_ldap, dir);
}

/* Connections. */

static void set_options(const struct directory_ldap *l, LDAP *ld)
{
    int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
    ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &l->timeout);
    ldap_set_option(ld, LDAP_OPT_TIMEOUT, &l->timeout);
    /* A referral could lead passwords to any server. */
    ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    if (*l->ca_file)
        ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, l->ca_file);
    ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client);
}

static int bind_as(LDAP *ld, const char *dn, const char *password, size_t n)
{
    struct berval cred = {.bv_len = n, .bv_val = (char *)(uintptr_t)password};
    return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);
}

static void close_connection(void *connection)
{
    ldap_unbind_ext_s(connection, NULL, NULL);
}

static LDAP *open_with(const struct directory_ldap *l, struct err *err)
{
    LDAP *ld = NULL;
    int r = ldap_initialize(&ld, l->url);
    if (r != LDAP_SUCCESS) {
        err_set(err, ERR_BUSY, "ldap: %s: %s", l->url, ldap_err2string(r));
        return NULL;
    }
    set_options(l, ld);
    if (l->starttls && span_istarts(span_str(l->url), SPAN("ldap:")))
        r = ldap_start_tls_s(ld, NULL, NULL);
    if (r != LDAP_SUCCESS) {
        char *more = NULL;
        ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
        err_set(err, ERR_BUSY, "ldap: STARTTLS: %s (%s)", ldap_err2string(r), more ? more : "");
        ldap_memfree(more);
        close_connection(ld);
        return NULL;
    }
    return ld;
}

static void *open_searcher(void *arg, struct err *err)
{
    const struct directory_ldap *l = arg;
    LDAP *ld = open_with(l, err);
    if (!ld)
        return NULL;
    int r = bind_as(ld, l->bind_dn, l->bind_password, strlen(l->bind_password));
    if (r == LDAP_SUCCESS)
        return ld;
    err_set(err, ERR_BUSY, "ldap: bind as \"%s\": %s", l->bind_dn, ldap_err2string(r));
    close_connection(ld);
    return NULL;
}

static void *open_checker(void *arg, struct err *err)
{
    return open_with(arg, err);
}

static bool connection_lost(int r)
{
    return r == LDAP_SERVER_DOWN || r == LDAP_TIMEOUT || r == LDAP_CONNECT_ERROR ||
           r == LDAP_UNAVAILABLE || r == LDAP_BUSY || r == LDAP_LOCAL_ERROR ||
           r == LDAP_DECODING_ERROR;
}

/* Searching. */

static struct span first_value(LDAP *ld, LDAPMessage *m, const char *attribute,
                               struct berval ***ret_values)
{
    *ret_values = ldap_get_values_len(ld, m, attribute);
    struct berval **v = *ret_values;
    return v && v[0] ? span_make(v[0]->bv_val, v[0]->bv_len) : SPAN_EMPTY;
}

static int read_name(const struct directory_ldap *l, LDAP *ld, LDAPMessage *m, struct span asked,
                     struct directory_entry *ret, struct err *err)
{
    struct berval **values;
    if (!*l->name_attribute) {
        buf_put_span(&ret->name, asked);
        return 0;
    }
    struct span value = first_value(ld, m, l->name_attribute, &values);
    bool good = user_name_valid(value);
    if (good)
        buf_put_span(&ret->name, value);
    ldap_value_free_len(values);
    return good ? 0 : err_set(err, ERR_BUSY, "ldap: the entry has no proper %s", l->name_attribute);
}

static void read_secrets(const struct directory_ldap *l, LDAP *ld, LDAPMessage *m,
                         struct directory_entry *ret)
{
    struct berval **v = ldap_get_values_len(ld, m, l->secret_attribute);
    for (size_t i = 0; v && v[i]; i++) {
        struct span s = span_make(v[i]->bv_val, v[i]->bv_len);
        bool scram = span_istarts(s, SPAN("{SCRAM-")) || span_istarts(s, SPAN("SCRAM-"));
        if (!scram || span_find_byte(s, ' ') != SPAN_NPOS || password_secrets_valid(s, NULL) < 0)
            continue; /* other kinds are the server's to check */
        for (int k = 0; k < 2; k++)
            if (!ret->scram[k].n && !password_scram(s, k == DIRECTORY_SCRAM_SHA256, &ret->scram[k]))
                buf_reset(&ret->scram[k]);
    }
    ldap_value_free_len(v);
}

static int search(const struct directory_ldap *l, LDAP *ld, const char *base, int scope,
                  const char *filter, char **attributes, LDAPMessage **ret)
{
    struct timeval timeout = l->timeout;
    *ret = NULL;
    return ldap_search_ext_s(ld, base, scope, filter, attributes, 0, NULL, NULL, &timeout, 2, ret);
}

/* The result of LDAP; 0 with *ret_dn NULL: there is no such entry. */
static int find_entry(const struct directory_ldap *l, LDAP *ld, struct span name, char **ret_dn,
                      struct directory_entry *ret, struct err *err, int *ret_error)
{
    char none[] = LDAP_NO_ATTRS;
    char *attributes[3] = {none, NULL, NULL};
    size_t n = 0;
    LDAPMessage *m;
    autobuf filter = BUF_INIT(FILTER_MAX);
    ldap_filter_put(l->filter, name, &filter);
    if (*l->name_attribute)
        attributes[n++] = l->name_attribute;
    if (*l->secret_attribute)
        attributes[n++] = l->secret_attribute;
    int r = search(l, ld, l->base, l->scope, filter.p, attributes, &m);
    int entries = m ? ldap_count_entries(ld, m) : 0;
    if (r == LDAP_SIZELIMIT_EXCEEDED || entries > 1) {
        r = LDAP_SUCCESS;
        *ret_error = err_set(err, ERR_BUSY, "ldap: several entries fit");
    } else if (r == LDAP_SUCCESS && entries == 1) {
        LDAPMessage *entry = ldap_first_entry(ld, m);
        *ret_dn = ldap_get_dn(ld, entry);
        *ret_error = read_name(l, ld, entry, name, ret, err);
        if (*l->secret_attribute)
            read_secrets(l, ld, entry, ret);
    }
    ldap_msgfree(m);
    return r;
}

static int find_disabled(const struct directory_ldap *l, LDAP *ld, const char *dn, bool *ret)
{
    char none[] = LDAP_NO_ATTRS;
    char *attributes[2] = {none, NULL};
    LDAPMessage *m;
    if (!*l->disabled_filter)
        return LDAP_SUCCESS;
    int r = search(l, ld, dn, LDAP_SCOPE_BASE, l->disabled_filter, attributes, &m);
    *ret = r == LDAP_SUCCESS && ldap_count_entries(ld, m) > 0;
    ldap_msgfree(m);
    return r;
}

static void entry_again(struct directory_entry *e)
{
    directory_entry_done(e);
    directory_entry_init(e);
}

/* *ret_dn: to be freed with ldap_memfree. */
static int look_up(struct directory_ldap *l, struct span name, char **ret_dn,
                   struct directory_entry *ret, struct err *err)
{
    for (;;) {
        bool fresh;
        int error = 0;
        char *dn = NULL;
        LDAP *ld = pool_take(l->searchers, &fresh, err);
        if (!ld)
            return ERR_BUSY;
        int r = find_entry(l, ld, name, &dn, ret, err, &error);
        if (r == LDAP_SUCCESS && error == 0 && dn)
            r = find_disabled(l, ld, dn, &ret->disabled);
        pool_give(l->searchers, ld, !connection_lost(r));
        if (r == LDAP_SUCCESS && error == 0 && dn) {
            *ret_dn = dn;
            return 0;
        }
        ldap_memfree(dn);
        if (error < 0)
            return error;
        if (r == LDAP_SUCCESS)
            return err_set(err, ERR_NOT_FOUND, "ldap: no such entry");
        if (fresh || !connection_lost(r))
            return err_set(err, ERR_BUSY, "ldap: search: %s", ldap_err2string(r));
        entry_again(ret); /* an idle connection that the server has closed: once more */
    }
}

static int ldap_find(struct directory *d, struct span name, enum directory_purpose why,
                     struct directory_entry *ret, struct err *err)
{
    char *dn = NULL;
    (void)why;
    int r = look_up(of(d), name, &dn, ret, err);
    ldap_memfree(dn);
    return r;
}

/* Checking. */

static int check_bind(struct directory_ldap *l, const char *dn, struct span password,
                      struct err *err)
{
    for (;;) {
        bool fresh;
        LDAP *ld = pool_take(l->checkers, &fresh, err);
        if (!ld)
            return ERR_BUSY;
        int r = bind_as(ld, dn, password.p, password.n);
        pool_give(l->checkers, ld, !connection_lost(r));
        switch (r) {
        case LDAP_SUCCESS:
            return 0;
        case LDAP_INVALID_CREDENTIALS:
        case LDAP_INAPPROPRIATE_AUTH:
        case LDAP_CONSTRAINT_VIOLATION:
        case LDAP_NO_SUCH_OBJECT:
        case LDAP_INSUFFICIENT_ACCESS:
            return err_set(err, ERR_DENIED, "ldap: %s", ldap_err2string(r));
        default:
            if (fresh || !connection_lost(r))
                return err_set(err, ERR_BUSY, "ldap: bind: %s", ldap_err2string(r));
        }
    }
}

static int ldap_check(struct directory *d, struct span name, struct span password,
                      struct directory_entry *ret, struct err *err)
{
    struct directory_ldap *l = of(d);
    char *dn = NULL;
    struct err ignored;
    /* RFC 4513 section 5.1.2: a bind with an empty password succeeds and proves nothing. */
    if (!password.n || password.n > PASSWORD_MAX || memchr(password.p, '\0', password.n)) {
        int r = ldap_find(d, name, DIRECTORY_LOGIN, ret, err);
        return r < 0 ? r : err_set(err, ERR_DENIED, "ldap: an empty or impossible password");
    }
    int r = look_up(l, name, &dn, ret, err);
    if (r == ERR_NOT_FOUND) { /* as long as for one that exists */
        autobuf nobody = BUF_INIT(DN_MAX);
        buf_printf(&nobody, "cn=martlet-unknown-user,%s", l->base);
        int unused = check_bind(l, nobody.p, password, &ignored);
        return unused == ERR_BUSY ? err_set(err, ERR_BUSY, "%s", ignored.text) : r;
    }
    if (r == 0)
        r = check_bind(l, dn, password, err);
    ldap_memfree(dn);
    return r;
}

static void ldap_free(struct directory *d)
{
    struct directory_ldap *l = of(d);
    pool_free(l->searchers);
    pool_free(l->checkers);
    explicit_bzero(l->bind_password, strlen(l->bind_password));
    char *texts[] = {l->url,    l->ca_file,        l->bind_dn,         l->bind_password,   l->base,
                     l->filter, l->name_attribute, l->disabled_filter, l->secret_attribute};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    free(l);
}

static char *copy(const char *s)
{
    return span_dup(span_str(s));
}

static const struct directory_ops with_scram = {.name = "ldap",
                                                .passwords = true,
                                                .scram = true,
                                                .find = ldap_find,
                                                .check = ldap_check,
                                                .free = ldap_free};
static const struct directory_ops without_scram = {
    .name = "ldap", .passwords = true, .find = ldap_find, .check = ldap_check, .free = ldap_free};

struct directory *directory_ldap_new(const struct conf *c, struct err *err)
{
    static const struct pool_ops searchers = {open_searcher, close_connection};
    static const struct pool_ops checkers = {open_checker, close_connection};
    LDAPURLDesc *parsed = NULL;
    struct span urls = span_str(c->auth_ldap_url), one;
    while (span_split(&urls, ' ', &one)) {
        autofree char *url = span_dup(one);
        if (one.n && ldap_url_parse(url, &parsed) != LDAP_URL_SUCCESS) {
            err_set(err, ERR_INVALID, "auth.ldap.url: %s is not an LDAP URL", url);
            return NULL;
        }
        ldap_free_urldesc(parsed);
        parsed = NULL;
    }
    /* libldap initialises itself at the first call, which must not be in several threads. */
    LDAP *first = NULL;
    if (ldap_initialize(&first, NULL) == LDAP_SUCCESS)
        close_connection(first);
    struct directory_ldap *l = xnew(struct directory_ldap);
    directory_init(&l->dir, *c->auth_ldap_secret_attribute ? &with_scram : &without_scram);
    l->url = copy(c->auth_ldap_url);
    l->ca_file = copy(c->auth_ldap_ca_file);
    l->bind_dn = copy(c->auth_ldap_bind_dn);
    l->bind_password = copy(c->auth_ldap_bind_password);
    l->base = copy(c->auth_ldap_base);
    l->filter = copy(c->auth_ldap_filter);
    l->name_attribute = copy(c->auth_ldap_name_attribute);
    l->disabled_filter = copy(c->auth_ldap_disabled_filter);
    l->secret_attribute = copy(c->auth_ldap_secret_attribute);
    l->starttls = c->auth_ldap_starttls;
    l->scope = c->auth_ldap_scope == CONF_LDAP_ONE ? LDAP_SCOPE_ONE : LDAP_SCOPE_SUB;
    l->timeout.tv_sec = (time_t)c->auth_ldap_timeout;
    l->searchers = pool_new(&searchers, l, c->auth_ldap_connections, c->auth_ldap_timeout);
    l->checkers = pool_new(&checkers, l, c->auth_ldap_connections, c->auth_ldap_timeout);
    return &l->dir;
}
