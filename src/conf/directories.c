#include <stdarg.h>

#include "conf/conf.h"

static const struct {
    const char *name;
    bool built;
} known[] = {
    {"file", true},
    {"pam", MARTLET_WITH_PAM},
    {"ldap", MARTLET_WITH_LDAP},
    {"sql", MARTLET_WITH_SQLITE || MARTLET_WITH_POSTGRESQL},
    {"oauth2", MARTLET_WITH_OAUTH2},
};

bool conf_has_directory(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->auth_directories.count; i++)
        if (strcmp(c->auth_directories.items[i], name) == 0)
            return true;
    return false;
}

/* The setting to change, and why. */
struct complaint {
    const char **setting;
    struct err *err;
};

static printf_like(3, 4) int bad(struct complaint *k, const char *setting, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    *k->setting = setting;
    return err_set(k->err, ERR_INVALID, "%s", text);
}

static int need(struct complaint *k, const char *value, const char *setting, const char *directory)
{
    return *value ? 0 : bad(k, setting, "it is empty, but auth.directories has %s", directory);
}

static int check_ldap(const struct conf *c, struct complaint *k)
{
    int r = need(k, c->auth_ldap_url, "auth.ldap.url", "ldap");
    if (r == 0)
        r = need(k, c->auth_ldap_base, "auth.ldap.base", "ldap");
    if (r < 0)
        return r;
    if (!strstr(c->auth_ldap_filter, "%u"))
        return bad(k, "auth.ldap.filter", "without %%u it fits any user");
    if (*c->auth_ldap_bind_dn && !*c->auth_ldap_bind_password) /* RFC 4513 section 5.1.2 */
        return bad(k, "auth.ldap.bind_password",
                   "it is empty: servers would take auth.ldap.bind_dn for anonymous");
    return 0;
}

static int check_sql(const struct conf *c, struct complaint *k)
{
    int r = need(k, c->auth_sql_database, "auth.sql.database", "sql");
    bool sqlite = c->auth_sql_driver == CONF_SQL_SQLITE;
    if (r < 0)
        return r;
    if (!strstr(c->auth_sql_query, ":user") && !strstr(c->auth_sql_query, "%u"))
        return bad(k, "auth.sql.query", "without :user it gives any user");
    // NOLINTNEXTLINE(misc-redundant-expression): options of the build
    if (sqlite ? !MARTLET_WITH_SQLITE : !MARTLET_WITH_POSTGRESQL)
        return bad(k, "auth.sql.driver", "this Martlet was built without %s",
                   sqlite ? "SQLite" : "PostgreSQL");
    if (sqlite && c->auth_sql_database[0] != '/')
        return bad(k, "auth.sql.database", "SQLite wants an absolute path");
    return 0;
}

/* Without encryption a URL may only lead to this machine. */
static int check_url(const char *url, struct complaint *k, const char *setting)
{
    static const char *const good[] = {
        "https://",          "http://localhost:", "http://localhost/",
        "http://127.0.0.1:", "http://127.0.0.1/", "http://[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (span_istarts(span_str(url), span_str(good[i])) && !strchr(url, '@'))
            return 0;
    return bad(k, setting, "not an https:// address%s",
               setting[12] == 'k' ? " nor an absolute path" : "");
}

static int check_oauth2(const struct conf *c, struct complaint *k)
{
    bool keys = *c->auth_oauth2_keys, ask = *c->auth_oauth2_introspection_url;
    if (keys == ask)
        return bad(k, "auth.oauth2.keys",
                   "auth.directories has oauth2: either this or auth.oauth2.introspection_url "
                   "must be set%s",
                   keys ? ", not both" : "");
    int r = need(k, c->auth_oauth2_user_claim, "auth.oauth2.user_claim", "oauth2");
    if (r == 0 && ask)
        return check_url(c->auth_oauth2_introspection_url, k, "auth.oauth2.introspection_url");
    if (r == 0)
        r = need(k, c->auth_oauth2_issuer, "auth.oauth2.issuer", "oauth2");
    /* Without it a token that the user gave to any other service opens the mailbox. */
    if (r == 0)
        r = need(k, c->auth_oauth2_audience, "auth.oauth2.audience", "oauth2");
    if (r == 0 && c->auth_oauth2_keys[0] != '/')
        r = check_url(c->auth_oauth2_keys, k, "auth.oauth2.keys");
    return r;
}

static int check_name(const struct conf *c, size_t at, struct complaint *k)
{
    const char *name = c->auth_directories.items[at];
    for (size_t i = 0; i < at; i++)
        if (strcmp(c->auth_directories.items[i], name) == 0)
            return bad(k, "auth.directories", "%s is there twice", name);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        return known[i].built
                   ? 0
                   : bad(k, "auth.directories", "this Martlet was built without %s", name);
    }
    return bad(k, "auth.directories",
               "\"%.40s\" is not known; allowed are file, pam, ldap, sql, oauth2", name);
}

int conf_check_directories(const struct conf *c, const char **ret_setting, struct err *err)
{
    struct complaint k = {ret_setting, err};
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->auth_directories.count; i++)
        r = check_name(c, i, &k);
    if (r == 0 && conf_has_directory(c, "pam"))
        r = need(&k, c->auth_pam_service, "auth.pam.service", "pam");
    if (r == 0 && conf_has_directory(c, "ldap"))
        r = check_ldap(c, &k);
    if (r == 0 && conf_has_directory(c, "sql"))
        r = check_sql(c, &k);
    if (r == 0 && conf_has_directory(c, "oauth2"))
        r = check_oauth2(c, &k);
    return r;
}
