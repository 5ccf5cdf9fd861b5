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

static int need(const char *value, const char *setting, const char *directory, struct err *err)
{
    if (*value)
        return 0;
    return err_set(err, ERR_INVALID, "auth.directories has %s, but %s is not set", directory,
                   setting);
}

static int check_ldap(const struct conf *c, struct err *err)
{
    int r = need(c->auth_ldap_url, "auth.ldap.url", "ldap", err);
    if (r == 0)
        r = need(c->auth_ldap_base, "auth.ldap.base", "ldap", err);
    if (r < 0)
        return r;
    if (!strstr(c->auth_ldap_filter, "%u"))
        return err_set(err, ERR_INVALID, "auth.ldap.filter: without %%u it fits any user");
    if (*c->auth_ldap_bind_dn && !*c->auth_ldap_bind_password)
        return err_set(err, ERR_INVALID,
                       "auth.ldap.bind_dn without auth.ldap.bind_password (RFC 4513 section 5.1.2: "
                       "servers would take it for anonymous)");
    return 0;
}

static int check_sql(const struct conf *c, struct err *err)
{
    int r = need(c->auth_sql_database, "auth.sql.database", "sql", err);
    if (r < 0)
        return r;
    if (!strstr(c->auth_sql_query, ":user") && !strstr(c->auth_sql_query, "%u"))
        return err_set(err, ERR_INVALID, "auth.sql.query: without :user it gives any user");
    bool sqlite = c->auth_sql_driver == CONF_SQL_SQLITE;
    if (sqlite ? !MARTLET_WITH_SQLITE : !MARTLET_WITH_POSTGRESQL)
        return err_set(err, ERR_INVALID, "auth.sql.driver: this Martlet was built without %s",
                       sqlite ? "SQLite" : "PostgreSQL");
    return 0;
}

static bool is_url(const char *s, const char *scheme)
{
    return span_istarts(span_str(s), span_str(scheme));
}

/* Without encryption a URL may only lead to this machine. */
static int check_url(const char *url, const char *setting, struct err *err)
{
    static const char *const good[] = {
        "https://",          "http://localhost:", "http://localhost/",
        "http://127.0.0.1:", "http://127.0.0.1/", "http://[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (is_url(url, good[i]))
            return 0;
    return err_set(err, ERR_INVALID, "%s: not an https:// address", setting);
}

static int check_oauth2(const struct conf *c, struct err *err)
{
    bool keys = *c->auth_oauth2_keys, ask = *c->auth_oauth2_introspection_url;
    if (keys == ask)
        return err_set(err, ERR_INVALID,
                       "auth.directories has oauth2: one of auth.oauth2.keys and "
                       "auth.oauth2.introspection_url must be set%s",
                       keys ? ", not both" : "");
    int r = need(c->auth_oauth2_user_claim, "auth.oauth2.user_claim", "oauth2", err);
    if (r == 0 && ask)
        return check_url(c->auth_oauth2_introspection_url, "auth.oauth2.introspection_url", err);
    if (r == 0)
        r = need(c->auth_oauth2_issuer, "auth.oauth2.issuer", "oauth2", err);
    /* Without it a token that the user gave to any other service opens the mailbox. */
    if (r == 0)
        r = need(c->auth_oauth2_audience, "auth.oauth2.audience", "oauth2", err);
    if (r == 0 && c->auth_oauth2_keys[0] != '/')
        r = check_url(c->auth_oauth2_keys, "auth.oauth2.keys", err);
    return r;
}

static int check_name(const struct conf *c, size_t at, struct err *err)
{
    const char *name = c->auth_directories.items[at];
    for (size_t i = 0; i < at; i++)
        if (strcmp(c->auth_directories.items[i], name) == 0)
            return err_set(err, ERR_INVALID, "auth.directories: %s is there twice", name);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        if (!known[i].built)
            return err_set(err, ERR_INVALID, "auth.directories: this Martlet was built without %s",
                           name);
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "auth.directories: \"%.40s\" is not one of: file pam ldap sql oauth2", name);
}

int conf_check_directories(const struct conf *c, struct err *err)
{
    for (size_t i = 0; i < c->auth_directories.count; i++) {
        int r = check_name(c, i, err);
        if (r < 0)
            return r;
    }
    if (conf_has_directory(c, "pam") && need(c->auth_pam_service, "auth.pam.service", "pam", err))
        return ERR_INVALID;
    int r = conf_has_directory(c, "ldap") ? check_ldap(c, err) : 0;
    if (r == 0 && conf_has_directory(c, "sql"))
        r = check_sql(c, err);
    if (r == 0 && conf_has_directory(c, "oauth2"))
        r = check_oauth2(c, err);
    return r;
}
