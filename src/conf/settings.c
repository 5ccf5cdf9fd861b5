/* Every setting of Martlet, in the order of the default configuration file. */
#include "conf/conf_int.h"

#define AT(member) offsetof(struct conf, member)
#define KIB        1024ull
#define MIB        (1024ull * 1024)
#define GIB        (1024ull * 1024 * 1024)
#define DAY        86400ull

#define STRING(n, m, d, h)                                                                         \
    {                                                                                              \
        n, CONF_STRING, AT(m), d, 0, 0, NULL, false, h                                             \
    }
#define SECRET(n, m, d, h)                                                                         \
    {                                                                                              \
        n, CONF_STRING, AT(m), d, 0, 0, NULL, true, h                                              \
    }
#define BOOLEAN(n, m, d, h)                                                                        \
    {                                                                                              \
        n, CONF_BOOL, AT(m), d, 0, 0, NULL, false, h                                               \
    }
#define NUMBER(n, m, d, min, max, h)                                                               \
    {                                                                                              \
        n, CONF_NUMBER, AT(m), d, min, max, NULL, false, h                                         \
    }
#define SIZE(n, m, d, min, max, h)                                                                 \
    {                                                                                              \
        n, CONF_SIZE, AT(m), d, min, max, NULL, false, h                                           \
    }
#define TIME(n, m, d, min, max, h)                                                                 \
    {                                                                                              \
        n, CONF_TIME, AT(m), d, min, max, NULL, false, h                                           \
    }
#define MILLIS(n, m, d, min, max, h)                                                               \
    {                                                                                              \
        n, CONF_MILLISECONDS, AT(m), d, min, max, NULL, false, h                                   \
    }
#define CHOICE(n, m, d, c, h)                                                                      \
    {                                                                                              \
        n, CONF_CHOICE, AT(m), d, 0, 0, c, false, h                                                \
    }
#define LIST(n, m, d, h)                                                                           \
    {                                                                                              \
        n, CONF_LIST, AT(m), d, 0, 0, NULL, false, h                                               \
    }
#define LISTEN(n, m, d, h)                                                                         \
    {                                                                                              \
        n, CONF_LISTEN, AT(m), d, 0, 0, NULL, false, h                                             \
    }
#define PAIRS(n, m, d, c, h)                                                                       \
    {                                                                                              \
        n, CONF_PAIRS, AT(m), d, 0, 0, c, false, h                                                 \
    }

const struct setting conf_settings[] = {
    STRING("state_dir", state_dir, "/var/lib/martlet",
           "Directory of everything that Martlet keeps: accounts, site log, sockets."),

    LISTEN("imap.listen", imap_listen, "[\"*:143\"]",
           "Addresses and ports for IMAP with STARTTLS. \"*\" is all of IPv4 and IPv6."),
    LISTEN("imaps.listen", imaps_listen, "[\"*:993\"]",
           "Addresses and ports for IMAP over TLS (RFC 8314)."),
    LISTEN("lmtp.listen", lmtp_listen, "[\"127.0.0.1:24\", \"/run/martlet/lmtp\"]",
           "Addresses and ports, or paths of UNIX sockets, where mail is delivered by LMTP."),

    LISTEN(
        "proxy.imap_listen", proxy_imap_listen, "[]",
        "The same as imap.listen, behind a proxy such as HAProxy that speaks the PROXY protocol\n"
        "(version 1 or 2): every connection must begin with its header, which says who the\n"
        "client is. Such addresses are for the proxy only."),
    LISTEN("proxy.imaps_listen", proxy_imaps_listen, "[]",
           "The same for IMAP over TLS: the header comes before the TLS handshake."),
    LIST("proxy.trusted", proxy_trusted, "[]",
         "Addresses and networks (192.0.2.0/24) of the proxies. Others are refused on the\n"
         "proxy's addresses."),

    STRING("tls.certificate", tls_certificate, "/etc/martlet/cert.pem",
           "Certificate chain (PEM). Read again on SIGHUP."),
    STRING("tls.key", tls_key, "/etc/martlet/key.pem",
           "Private key of the certificate (PEM). Only martlet-auth reads it."),
    PAIRS(
        "tls.certificates", tls_certificates, "{ }", NULL,
        "More certificates, each with its key: \"/path/chain.pem\" = \"/path/key.pem\". Which one\n"
        "a client gets is decided by the name it asks for (SNI) and the DNS names in the\n"
        "certificates, and by the kinds of key it understands: one with an ECDSA or Ed25519\n"
        "key and one with an RSA key may have the same names. tls.certificate is for all others."),
    CHOICE("tls.minimum", tls_minimum, "1.2", "1.2 1.3", "Oldest version of TLS that is spoken."),
    TIME("tls.ticket_lifetime", tls_ticket_lifetime, "12h", 0, 7 * DAY,
         "How long a client may resume a TLS session without a full handshake. The keys for that\n"
         "are in memory only, and as old at most. 0: never."),
    CHOICE(
        "tls.client_certificates", tls_client_certificates, "no", "no optional required",
        "Ask clients for a certificate: no, optional or required. One that is presented must be\n"
        "issued by tls.client_ca; it lets its owner log in by AUTHENTICATE EXTERNAL."),
    STRING("tls.client_ca", tls_client_ca, "\"\"",
           "Certificates (PEM, one file) of those who issue the clients' certificates."),
    CHOICE("tls.client_user", tls_client_user, "email", "email common_name",
           "Where a client certificate has the user's name: email (the first rfc822Name of its\n"
           "subject alternative names) or common_name."),

    NUMBER(
        "mail.processes", mail_processes, "0", 0, 64,
        "Mail processes; every account belongs to one. 0: one for each CPU, at most 8. Accounts\n"
        "are bound to processes by name, so this may be changed at any start."),
    NUMBER("login.processes", login_processes, "0", 0, 64,
           "Login processes, which also encrypt and decrypt TLS connections. 0: one for each CPU,\n"
           "at most 8."),
    NUMBER("login.connections", login_connections, "10000", 10, 1000000,
           "Connections of one login process and of those that it has taken the place of, TLS\n"
           "sessions included; then it accepts no more."),
    NUMBER("login.unfinished", login_unfinished, "1000", 1, 1000000,
           "Connections of one login process that have not logged in yet. Beyond it the oldest\n"
           "of them is closed for each new one."),
    NUMBER(
        "login.group", login_group, "1000", 1, 1000000,
        "Logins that one login process serves. Then a fresh one takes its place, and it goes on\n"
        "with the TLS sessions that it has: so strangers share a process with so many sessions\n"
        "at most. It also bounds the connections, logged in or not, at 64 times as many."),
    NUMBER("login.generations", login_generations, "16", 1, 1000,
           "Login processes, beside each one that accepts, that go on with what they have. Beyond\n"
           "it the one with the fewest sessions is ended; their clients connect anew."),
    TIME("login.timeout", login_timeout, "60s", 1, DAY,
         "How long a connection may take to log in."),
    NUMBER("login.bad_commands", login_bad_commands, "10", 1, 100000,
           "Commands not understood before login, then BYE."),
    LIST("login.referrals", login_referrals, "[]",
         "Users whose mail is on another server: \"name host\", \"name host:port\"; \"@example.org "
         "host\"\n"
         "for all of a domain. After a login they are told where (RFC 2221)."),
    BOOLEAN("login.plaintext", login_plaintext, "false",
            "Accept passwords without TLS from other hosts. Loopback connections always may."),

    LIST("auth.directories", auth_directories, "[file]",
         "Where users are known, in the order in which they are asked: file, pam, ldap, sql,\n"
         "oauth2."),
    STRING("auth.users_file", auth_users_file, "/etc/martlet/users",
           "For directory file: lines of name:hash, made with martletctl user. Read again whenever "
           "it\n"
           "changes. Empty: none."),
    STRING("auth.app_passwords_file", auth_app_passwords_file, "/etc/martlet/app-passwords",
           "Further passwords for single programs, made with martletctl user app-password. Read\n"
           "again whenever it changes; need not exist. Empty: none."),
    STRING("auth.pam.service", auth_pam_service, "martlet",
           "For directory pam: the file below /etc/pam.d."),
    NUMBER("auth.pam.parallel", auth_pam_parallel, "1", 1, 64,
           "Calls of PAM at a time. Not all of its modules bear more than one."),
    STRING(
        "auth.ldap.url", auth_ldap_url, "\"\"",
        "For directory ldap: ldap://host, ldaps://host or ldapi://%2Fpath, several separated by\n"
        "spaces."),
    BOOLEAN("auth.ldap.starttls", auth_ldap_starttls, "true",
            "Encrypt ldap:// connections (STARTTLS). Passwords go over them; switch it off for a\n"
            "server on this machine alone."),
    STRING("auth.ldap.ca_file", auth_ldap_ca_file, "\"\"",
           "Certificates (PEM) of those who issue the server's. Empty: the system's."),
    STRING("auth.ldap.bind_dn", auth_ldap_bind_dn, "\"\"",
           "The account that searches for users. Empty: anonymous."),
    SECRET("auth.ldap.bind_password", auth_ldap_bind_password, "\"\"", "Its password."),
    STRING("auth.ldap.base", auth_ldap_base, "\"\"",
           "Where the users are: ou=people,dc=example,dc=org."),
    CHOICE("auth.ldap.scope", auth_ldap_scope, "subtree", "subtree one",
           "Search all below the base, or only its direct children: subtree or one."),
    STRING("auth.ldap.filter", auth_ldap_filter, "\"(&(objectClass=posixAccount)(uid=%u))\"",
           "Which entry is the user's; %u stands for the name that was given, escaped (RFC 4515)."),
    STRING("auth.ldap.name_attribute", auth_ldap_name_attribute, "uid",
           "Where the entry has the name of the account. Empty: the name that was given."),
    STRING("auth.ldap.disabled_filter", auth_ldap_disabled_filter, "\"\"",
           "Entries that it fits may get mail but not log in, such as (pwdAccountLockedTime=*).\n"
           "Empty: none."),
    STRING(
        "auth.ldap.secret_attribute", auth_ldap_secret_attribute, "\"\"",
        "Where entries have SCRAM keys that the service account may read, such as userPassword.\n"
        "Empty: passwords are only checked by binding, and SCRAM is not for these users."),
    NUMBER("auth.ldap.connections", auth_ldap_connections, "4", 1, 64, "Connections at a time."),
    TIME("auth.ldap.timeout", auth_ldap_timeout, "5s", 1, 300, "How long the server may take."),
    CHOICE("auth.sql.driver", auth_sql_driver, "sqlite", "sqlite postgresql",
           "For directory sql: sqlite or postgresql."),
    SECRET("auth.sql.database", auth_sql_database, "\"\"",
           "sqlite: the file. postgresql: a connection string of libpq, as \"host=db dbname=mail\n"
           "user=martlet password=...\"."),
    STRING(
        "auth.sql.query", auth_sql_query,
        "\"SELECT name, secret, disabled FROM users WHERE name = :user\"",
        "Gives the user's row. :user (or %u) is a parameter of the prepared statement, not text.\n"
        "Columns: name, secret (as in the users file), disabled (may be missing)."),
    NUMBER("auth.sql.connections", auth_sql_connections, "4", 1, 64, "Connections at a time."),
    TIME("auth.sql.timeout", auth_sql_timeout, "5s", 1, 300, "How long the database may take."),
    STRING("auth.oauth2.issuer", auth_oauth2_issuer, "\"\"",
           "For directory oauth2: who must have issued a token (claim iss)."),
    STRING("auth.oauth2.audience", auth_oauth2_audience, "\"\"",
           "Whom tokens must be meant for (claim aud)."),
    STRING("auth.oauth2.keys", auth_oauth2_keys, "\"\"",
           "The issuer's key set (JWKS): a file or an https URL. Signed tokens (JWT) are checked\n"
           "against it. Empty: introspection_url is asked."),
    STRING("auth.oauth2.introspection_url", auth_oauth2_introspection_url, "\"\"",
           "Who is asked whether a token is good (RFC 7662)."),
    STRING("auth.oauth2.client_id", auth_oauth2_client_id, "\"\"", "Our name at introspection."),
    SECRET("auth.oauth2.client_secret", auth_oauth2_client_secret, "\"\"", "Our secret there."),
    STRING("auth.oauth2.scope", auth_oauth2_scope, "\"\"",
           "Scopes that a token must have, separated by spaces. Empty: none."),
    STRING("auth.oauth2.user_claim", auth_oauth2_user_claim, "email",
           "Which claim is the name of the account. An email that the issuer calls unverified is\n"
           "refused."),
    TIME("auth.oauth2.leeway", auth_oauth2_leeway, "60s", 0, 600, "How much clocks may differ."),
    STRING("auth.oauth2.ca_file", auth_oauth2_ca_file, "\"\"",
           "Certificates (PEM) of those who issue the servers'. Empty: the system's."),
    TIME("auth.oauth2.timeout", auth_oauth2_timeout, "5s", 1, 300, "How long a server may take."),
    CHOICE(
        "auth.username_case", auth_username_case, "fold", "fold keep",
        "fold: \"Fred\" and \"fred\" are the same user, known to directories as fred (RFC 8265,\n"
        "UsernameCaseMapped); keep: they are two (UsernameCasePreserved)."),
    LIST("auth.masters", auth_masters, "[]",
         "Administrators who may act as any user: they log in with their own name and password,\n"
         "and name the user as authorisation identity. Logged with both names."),
    STRING("auth.anonymous_user", auth_anonymous_user, "\"\"",
           "The account that AUTHENTICATE ANONYMOUS (RFC 4505) opens, for anybody. Empty: none."),
    CHOICE(
        "auth.scram", auth_scram, "auto", "auto on off",
        "Offer SCRAM. Clients take the strongest mechanism that is offered, and fail if the user\n"
        "has no keys for it or they have an app password. auto: while every user of the users\n"
        "file who has a password has keys, there are no app passwords, and no other directory\n"
        "checks passwords."),
    SECRET("auth.any_user_password", auth_any_user_password, "\"\"",
           "For tests: every name logs in with this password and gets an account. Refused unless\n"
           "every listener is on a loopback address."),
    MILLIS("auth.failure_delay", auth_failure_delay, "500ms", 0, 60000,
           "How long the answer to a wrong password waits, and the first gap that is kept between\n"
           "attempts when an account or a network has failed often; doubled with every failure."),
    MILLIS("auth.failure_delay_max", auth_failure_delay_max, "8s", 0, 60000,
           "The widest such gap."),
    LISTEN("auth.mta_listen", auth_mta_listen, "[]",
           "Paths of UNIX sockets on which an MTA has senders authenticated, by the Dovecot\n"
           "authentication protocol (Postfix: smtpd_sasl_type = dovecot)."),
    STRING("auth.mta_mode", auth_mta_mode, "\"0660\"",
           "Permissions of these sockets: whoever can connect can try passwords."),
    STRING("auth.mta_group", auth_mta_group, "\"\"",
           "Group of these sockets, by name, such as postfix. Empty: that of the supervisor."),

    CHOICE("imap.literal", imap_literal, "plus", "plus minus",
           "Offer LITERAL+ (any size) or LITERAL- (up to 4096 bytes), RFC 7888."),
    CHOICE("imap.utf8", imap_utf8, "accept", "accept only off",
           "Offer UTF8=ACCEPT or UTF8=ONLY (RFC 9755), or neither. With accept, APPEND refuses\n"
           "headers that are not ASCII until a client has enabled UTF-8, as the RFC demands; with\n"
           "only, whatever has to do with mail is refused until then."),
    CHOICE("imap.language", imap_language, "en", "en ru",
           "Language of texts for clients that ask for the \"default\" one (RFC 5255)."),
    LIST("imap.submit_users", imap_submit_users, "[]",
         "Users as which submission servers log in (BURL): they may fetch what users' URLs with "
         "the\n"
         "access identifier submit+ point to (RFC 4467)."),
    LIST("imap.stream_users", imap_stream_users, "[]",
         "The same for media servers and the access identifier stream (RFC 5593)."),
    BOOLEAN("imap.side_by_side", imap_side_by_side, "true",
            "Run pipelined commands side by side where RFC 9051 section 5.5 allows it."),
    LIST("imap.in_order_clients", imap_in_order_clients, "[]",
         "Names that clients give with ID for which side_by_side is off."),
    TIME("imap.idle_timeout", imap_idle_timeout, "30min", 1, 30 * DAY,
         "A session is closed after so long without a command (RFC 9051 section 5.4: at least\n"
         "30 minutes)."),
    MILLIS("imap.progress_interval", imap_progress_interval, "10s", 1, 3600000,
           "How often a client is told how far a long command is (RFC 9585)."),
    SIZE("imap.line_max", imap_line_max, "64kb", KIB, 16 * MIB,
         "Longest command line, its literals not counted."),
    SIZE("imap.literal_max", imap_literal_max, "128mb", KIB, 4 * GIB, "Largest message to APPEND."),
    SIZE("imap.command_memory", imap_command_memory, "16mb", 64 * KIB, GIB,
         "Memory that one command may use."),
    NUMBER("imap.arguments_max", imap_arguments_max, "1000", 10, 1000000,
           "Elements of one list in a command."),
    NUMBER("imap.nesting_max", imap_nesting_max, "50", 1, 1000, "Parentheses in a SEARCH."),
    NUMBER("imap.search_nodes_max", imap_search_nodes_max, "1000", 10, 1000000,
           "Keys of one SEARCH."),
    NUMBER("imap.save_limit", imap_save_limit, "10000", 1000, 100000,
           "Messages of one APPEND, told to clients as SAVELIMIT (RFC 9738)."),
    NUMBER("imap.message_limit", imap_message_limit, "0", 0, 4294967295,
           "Told to clients as MESSAGELIMIT instead, so that they work in pieces of so many\n"
           "messages (not below 1000; 0: not told). What asks for more is done all the same and\n"
           "never cut short; only an APPEND of more fails."),
    NUMBER("imap.tasks_max", imap_tasks_max, "64", 1, 10000,
           "Commands of one session in progress; more input waits."),
    NUMBER("imap.bad_commands", imap_bad_commands, "50", 1, 1000000,
           "Commands not understood in a row, then BYE."),

    STRING("sharing.public_user", sharing_public_user, "\"\"",
           "The user whose mailboxes everybody sees below \"Shared/\", as far as their access\n"
           "control lists say so (RFC 4314). Empty: there is no such namespace."),
    PAIRS("mailboxes", mailboxes,
          "{ Drafts = drafts, Sent = sent, Junk = junk, Trash = trash, Archive = archive }",
          "none all archive drafts flagged junk sent trash important",
          "Mailboxes that a new account gets and is subscribed to, with their special uses (RFC\n"
          "6154): none, archive, drafts, junk, sent, trash, all, flagged, important."),

    LIST("lmtp.domains", lmtp_domains, "[]",
         "Domains whose mail is delivered to the user with the local part. Empty: any domain."),
    STRING(
        "lmtp.detail_delimiter", lmtp_detail_delimiter, "\"+\"",
        "What separates the user from a detail in an address (user+detail@domain). Empty: none."),
    BOOLEAN(
        "lmtp.detail_folder", lmtp_detail_folder, "true",
        "Mail for user+detail goes to the mailbox that the detail names, if there is one: as it\n"
        "is spelled, or with \".\" for \"/\", or in other letter case. Otherwise to INBOX."),
    BOOLEAN("lmtp.detail_create", lmtp_detail_create, "false",
            "Make such a mailbox if there is none. Whoever can write to the user can then make\n"
            "mailboxes."),
    TIME("lmtp.duplicate_window", lmtp_duplicate_window, "5d", 0, 30 * DAY,
         "An MTA that has not heard the answer delivers again. For so long a second delivery of\n"
         "the same message by the same sender to the same recipient is confirmed, but not stored;\n"
         "it should be as long as the MTA keeps trying. 0: never."),
    CHOICE("lmtp.over_quota", lmtp_over_quota, "temporary", "temporary permanent",
           "Answer if a user's mail may not grow: try again later (452), or refused (552)."),
    STRING("lmtp.socket_mode", lmtp_socket_mode, "\"0666\"",
           "Permissions of UNIX sockets in lmtp.listen: whoever can connect can deliver mail."),
    STRING("lmtp.socket_group", lmtp_socket_group, "\"\"",
           "Group of these sockets, by name, such as postfix. Empty: that of the supervisor."),
    SIZE("lmtp.message_max", lmtp_message_max, "128mb", KIB, 4 * GIB, "Largest message."),
    NUMBER("lmtp.recipients_max", lmtp_recipients_max, "1000", 100, 100000,
           "Recipients of one message (RFC 5321 section 4.5.3.1.8: at least 100)."),
    TIME("lmtp.timeout", lmtp_timeout, "5min", 10, DAY, "How long a client may be silent."),

    LIST("metadata.server", metadata_server, "[]",
         "What clients read as shared metadata of the server (RFC 5464), such as\n"
         "\"/shared/admin=mailto:postmaster@example.org\": an entry, =, its value."),
    SIZE("metadata.value_max", metadata_value_max, "64kb", KIB, MIB,
         "Longest value of an entry of metadata."),
    NUMBER(
        "metadata.entries_max", metadata_entries_max, "500", 10, 100000,
        "Shared entries of a mailbox, and private ones of each user there; private ones of a user\n"
        "on the server."),

    SIZE(
        "quota.storage", quota_storage, "0", 0, 1ULL << 50,
        "How much mail an account may hold. 0: no limit. Of this and the following, SETQUOTA (RFC\n"
        "9208) and martletctl quota set others for one account."),
    NUMBER("quota.messages", quota_messages, "0", 0, 1000000000, "How many messages. 0: no limit."),
    NUMBER("quota.mailboxes", quota_mailboxes, "0", 0, 1000000, "How many mailboxes. 0: no limit."),
    NUMBER(
        "quota.warn_percent", quota_warn_percent, "95", 0, 100,
        "Clients that have selected a mailbox are told once so much of its storage or number of\n"
        "messages is used (RFC 9208 section 4.3.1). 0: never."),
    SIZE("quota.annotation_storage", quota_annotation_storage, "0", 0, 1ULL << 40,
         "How much metadata (RFC 5464). 0: no limit."),

    TIME(
        "mail.quarantine", mail_quarantine, "1min", 0, DAY,
        "How long an account is refused whose mail process has crashed twice within an hour while\n"
        "it worked for it; doubled with every further crash, up to an hour. 0: never."),

    CHOICE(
        "process.drop_privileges", process_drop_privileges, "auto", "auto always never",
        "Started as root, the processes become the users below. auto: if they exist and the state\n"
        "directory belongs to process.mail_user (a new one is given to it where it can reach it);\n"
        "always: or do not start; never: they stay root, but without its rights."),
    STRING("process.login_user", process_login_user, "martlet-login",
           "User of the processes that face strangers."),
    STRING(
        "process.auth_user", process_auth_user, "martlet-auth",
        "User of the process that checks passwords and holds private keys. It may read the files\n"
        "named in this configuration whoever they belong to."),
    STRING("process.mail_user", process_mail_user, "martlet",
           "User of the processes that have the mail; owns the state directory."),
    STRING("process.metrics_user", process_metrics_user, "martlet-metrics",
           "User of the process that serves metrics."),
    CHOICE("process.sandbox", process_sandbox, "on", "on off",
           "off: no limits on files and system calls; to look for a fault, never else."),

    NUMBER("store.open_accounts", store_open_accounts, "256", 8, 100000,
           "Accounts of one mail process whose files are kept open while nobody uses them."),
    NUMBER("store.threads", store_threads, "8", 1, 256,
           "Threads of one mail process that sync and read ahead."),

    CHOICE("log.level", log_level, "info", "error warning info debug",
           "What is logged: error, warning, info or debug."),
    CHOICE("log.format", log_format, "logfmt", "logfmt json",
           "One line an event: logfmt (key=value) or json."),
    CHOICE("log.to", log_to, "stderr", "stderr syslog journald",
           "Where to: stderr, syslog or journald. Lines that cannot be delivered go to stderr."),
    STRING("log.socket", log_socket, "\"\"",
           "The socket of syslog or journald. Empty: /dev/log, /run/systemd/journal/socket."),

    LISTEN(
        "metrics.listen", metrics_listen, "[]",
        "Loopback addresses and ports where http://ADDRESS/metrics has OpenMetrics. Empty: none.\n"
        "There is no password: other addresses are refused."),
};

const size_t conf_setting_count = ARRAY_LEN(conf_settings);

static const char *const fixed[] = {
    "state_dir",          "mail.processes",    "store.threads",     "process.drop_privileges",
    "process.login_user", "process.auth_user", "process.mail_user", "process.metrics_user",
    "process.sandbox"};

bool conf_setting_fixed(const struct setting *s)
{
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (strcmp(s->name, fixed[i]) == 0)
            return true;
    return false;
}

bool conf_listen_takes_paths(const struct setting *s)
{
    return s->offset == AT(lmtp_listen) || s->offset == AT(auth_mta_listen);
}

const char *conf_type_name(enum conf_type t)
{
    static const char *const names[] = {
        "text", "true or false",     "number", "size", "time", "time", "choice",
        "list", "list of addresses", "section"};
    return names[t];
}
