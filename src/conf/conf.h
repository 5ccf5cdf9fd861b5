/* conf/conf.h: the settings of Martlet, typed.
 *
 * One file, martlet.conf (conf/syntax.h), read by the supervisor and by tools; the other processes
 * get the settings in a message. Every setting is one row of the table in settings.c: name, type,
 * bounds, default, help; the default configuration file and the manual are made from it.
 * Ownership: a struct conf owns all that it points to. Failure: a sentence with file, line and, for
 * an unknown name, the nearest known one. Threads: immutable after loading; any thread. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct conf_list {
    const char *const *items; /* NULL-terminated, never NULL itself */
    size_t count;
};

/* Where a value comes from. */
struct conf_origin {
    enum { CONF_FROM_DEFAULT, CONF_FROM_FILE, CONF_FROM_OPTION } kind;
    const char *file;
    unsigned line;
};

enum conf_case { CONF_CASE_FOLD, CONF_CASE_KEEP };

enum conf_scram { CONF_SCRAM_AUTO, CONF_SCRAM_ON, CONF_SCRAM_OFF };
enum conf_utf8 { CONF_UTF8_ACCEPT, CONF_UTF8_ONLY, CONF_UTF8_OFF };
enum conf_literal { CONF_LITERAL_PLUS, CONF_LITERAL_MINUS };

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_client_certificates { CONF_CLIENT_NO, CONF_CLIENT_OPTIONAL, CONF_CLIENT_REQUIRED };
enum conf_ldap_scope { CONF_LDAP_SUBTREE, CONF_LDAP_ONE };
enum conf_sql_driver { CONF_SQL_SQLITE, CONF_SQL_POSTGRESQL };
enum conf_client_user { CONF_CLIENT_EMAIL, CONF_CLIENT_COMMON_NAME };

enum conf_drop { CONF_DROP_AUTO, CONF_DROP_ALWAYS, CONF_DROP_NEVER };
enum conf_over_quota { CONF_OVER_QUOTA_TEMPORARY, CONF_OVER_QUOTA_PERMANENT };
enum conf_sandbox { CONF_SANDBOX_ON, CONF_SANDBOX_OFF };

struct conf {
    const char *state_dir;

    struct conf_list imap_listen, imaps_listen, lmtp_listen; /* "address:port", or "/path" (LMTP) */
    struct conf_list proxy_imap_listen, proxy_imaps_listen;  /* behind a proxy (wire/proxy.h) */
    struct conf_list proxy_trusted;                          /* networks */
    struct conf_list login_referrals;                        /* "name host[:port]" */
    const char *tls_certificate, *tls_key;
    struct conf_list tls_certificates; /* certificate, key, certificate, key, ... */
    uint64_t tls_minimum;              /* enum conf_tls_version */
    uint64_t tls_ticket_lifetime;
    uint64_t tls_client_certificates; /* enum conf_client_certificates */
    const char *tls_client_ca;
    uint64_t tls_client_user; /* enum conf_client_user */

    uint64_t login_processes, mail_processes; /* 0: by the number of CPUs */
    uint64_t login_connections, login_unfinished;
    uint64_t login_group, login_generations;
    uint64_t login_timeout; /* seconds, like all times */
    uint64_t login_bad_commands;
    bool login_plaintext;

    struct conf_list auth_directories;
    const char *auth_users_file, *auth_app_passwords_file;
    const char *auth_pam_service;
    uint64_t auth_pam_parallel;
    const char *auth_ldap_url, *auth_ldap_ca_file, *auth_ldap_bind_dn;
    const char *auth_ldap_bind_password; /* secret */
    const char *auth_ldap_base, *auth_ldap_filter, *auth_ldap_name_attribute;
    const char *auth_ldap_disabled_filter, *auth_ldap_secret_attribute;
    bool auth_ldap_starttls;
    uint64_t auth_ldap_scope; /* enum conf_ldap_scope */
    uint64_t auth_ldap_connections, auth_ldap_timeout;
    uint64_t auth_sql_driver;      /* enum conf_sql_driver */
    const char *auth_sql_database; /* secret: it may have a password in it */
    const char *auth_sql_query;
    uint64_t auth_sql_connections, auth_sql_timeout;
    const char *auth_oauth2_issuer, *auth_oauth2_audience, *auth_oauth2_keys;
    const char *auth_oauth2_introspection_url, *auth_oauth2_client_id;
    const char *auth_oauth2_client_secret; /* secret */
    const char *auth_oauth2_scope, *auth_oauth2_user_claim, *auth_oauth2_ca_file;
    uint64_t auth_oauth2_leeway, auth_oauth2_timeout;
    uint64_t auth_username_case; /* enum conf_case */
    struct conf_list auth_masters;
    const char *auth_anonymous_user;
    uint64_t auth_scram;                                 /* enum conf_scram */
    const char *auth_any_user_password;                  /* secret */
    uint64_t auth_failure_delay, auth_failure_delay_max; /* milliseconds */
    struct conf_list auth_mta_listen;                    /* paths */
    const char *auth_mta_mode, *auth_mta_group;

    uint64_t imap_literal;  /* enum conf_literal */
    uint64_t imap_utf8;     /* enum conf_utf8 */
    uint64_t imap_language; /* 0: English, 1: Russian */
    bool imap_side_by_side;
    struct conf_list imap_in_order_clients, imap_submit_users, imap_stream_users;
    struct conf_list metadata_server;
    uint64_t imap_idle_timeout;
    uint64_t imap_progress_interval; /* milliseconds */
    uint64_t imap_line_max, imap_literal_max, imap_command_memory;
    uint64_t imap_arguments_max, imap_nesting_max, imap_search_nodes_max;
    uint64_t imap_tasks_max, imap_bad_commands;
    uint64_t imap_save_limit, imap_message_limit;

    const char *sharing_public_user;

    struct conf_list mailboxes; /* name, special use, name, special use, ... */

    struct conf_list lmtp_domains; /* empty: any */
    const char *lmtp_detail_delimiter;
    const char *lmtp_socket_mode, *lmtp_socket_group;
    bool lmtp_detail_folder, lmtp_detail_create;
    uint64_t lmtp_duplicate_window;
    uint64_t lmtp_over_quota; /* enum conf_over_quota */
    uint64_t lmtp_message_max, lmtp_recipients_max, lmtp_timeout;

    uint64_t metadata_value_max, metadata_entries_max;
    uint64_t quota_warn_percent;
    uint64_t quota_storage, quota_messages, quota_mailboxes, quota_annotation_storage; /* 0: none */
    uint64_t mail_quarantine;                                                          /* 0: none */

    uint64_t process_drop_privileges; /* enum conf_drop */
    const char *process_login_user, *process_auth_user, *process_mail_user, *process_metrics_user;
    uint64_t process_sandbox; /* enum conf_sandbox */

    uint64_t store_open_accounts;
    uint64_t store_threads;

    uint64_t log_level;  /* enum log_level */
    uint64_t log_format; /* enum log_format */
    uint64_t log_to;     /* enum log_to */
    const char *log_socket;

    struct conf_list metrics_listen;

    struct conf_origin *origins; /* private, of each setting */
    struct arena arena;          /* private */
};

/* All defaults. */
struct conf *conf_new(void);
void conf_free(struct conf *c);
/* Defaults, then the file. NULL with err on failure. */
struct conf *conf_load(const char *file, struct err *err) must_check;
struct conf *conf_load_text(struct span text, const char *file, struct err *err) must_check;
/* One more statement, as from a command line: "imap.listen=127.0.0.1:1143". It may change what the
 * file or an earlier one has set; within a file a setting that is there twice is refused. */
int conf_set(struct conf *c, struct span statement, struct err *err) must_check;

/* Calls each for every setting that differs; fixed: it is read at start only. */
void conf_diff(const struct conf *a, const struct conf *b,
               void (*each)(void *arg, const char *name, bool fixed), void *arg);
/* Gives the fixed settings of `to` the values that they have in `from`. */
int conf_keep_fixed(struct conf *to, const struct conf *from) must_check;

/* Whether auth.directories can be had like this: known names, each configured, in this build. */
int conf_check_directories(const struct conf *c, const char **ret_setting,
                           struct err *err) must_check; /* ret_setting: the one to change */
bool conf_has_directory(const struct conf *c, const char *name);

/* To another process: all settings, secrets only if asked for. */
void conf_encode(const struct conf *c, bool secrets, struct buf *out);
struct conf *conf_decode(struct span encoded, struct err *err) must_check;

/* The commented default configuration file. */
void conf_print_default(struct buf *out);
/* Every setting: name, type, default and help, for the manual. */
void conf_each(void (*each)(void *arg, const char *name, const char *type, const char *def,
                            const char *help),
               void *arg);

/* What is in effect, for people: values in the syntax of the file, secrets hidden. Pointers are
 * valid during the call. */
struct conf_shown {
    const char *name, *type, *value, *def;
    struct conf_origin origin;
    bool fixed; /* a change needs a restart */
};
void conf_show(const struct conf *c, void (*each)(void *arg, const struct conf_shown *s),
               void *arg);
/* NULL: there is no such setting. */
const struct conf_origin *conf_origin(const struct conf *c, const char *name);

/* "127.0.0.1:143", "[::1]:143", "*:143" -> host and port; false if malformed. */
bool conf_split_listen(struct span listen, struct span *ret_host, uint16_t *ret_port);

#endif
