/* imap/session.h: an authenticated IMAP connection (RFC 9051 section 3.2 and after).
 *
 * The mail process calls imap_session_start with a connection that the login process has
 * authenticated; from then on the session lives by itself until the client or the server ends it,
 * and frees itself. One loop thread.
 *
 * An idle session is one small struct and its socket: no buffers, no snapshot, no UID list. */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include "base/list.h"
#include "io/loop.h"
#include "store/account.h"
#include "wire/capability.h"
#include "wire/command.h"
#include "wire/frame.h"
#include "wire/language.h"

/* What sessions are allowed to use; each limit has a clear answer when it is reached. */
struct imap_settings {
    struct frame_limits frame; /* also LITERAL+ or LITERAL- */
    struct parse_limits parse;
    enum capability_utf8 utf8;
    enum language language; /* of those who ask for "default" */
    /* Who may redeem URLs for the submission service and for players (RFC 4467, RFC 5593): user
     * names, NULL-terminated, or NULL. */
    const char *const *submit_users, *const *stream_users;
    bool side_by_side; /* run unambiguous commands side by side (RFC 9051 section 5.5) */
    const char *const
        *in_order_clients;         /* ID names for which it is off; NULL-terminated, or NULL */
    size_t command_memory;         /* octets that one command may use while it is parsed and runs */
    size_t tasks_max;              /* commands in progress; more input waits */
    unsigned idle_timeout_s;       /* RFC 9051 section 5.4: at least 30 minutes */
    unsigned progress_ms;          /* between two reports of a long command (RFC 9585) */
    size_t metadata_value_max;     /* octets */
    uint32_t metadata_entries_max; /* of one mailbox and owner */
    const char *const *server_metadata; /* "entry=value"; NULL-terminated, or NULL */
    /* RFC 9738, imap/messagelimit.c; message_limit 0: only save_limit is announced */
    uint64_t save_limit, message_limit;
    unsigned quota_warn_percent; /* 0: never */
    unsigned errors_max;         /* BAD commands in a row before BYE */
};

extern const struct imap_settings imap_settings_default;

/* All sessions of one process. */
/* A connection that goes back to where strangers are served (RFC 8437). Spans: during the call. */
struct imap_return {
    uint64_t session_id;
    unsigned login_process; /* as in imap_start, like the next three */
    bool tls, local, tls_ended;
    struct span peer, client_name;
    struct span input; /* that arrived after UNAUTHENTICATE */
};

struct imap_host {
    struct loop *loop;
    struct store *store;
    struct imap_settings settings;       /* imap_settings_set */
    struct frame_limits frame_limits[2]; /* private: with LITERAL+, with LITERAL- */
    struct list sessions;
    size_t session_count;
    struct list awaited;              /* private, like the next: tasks that wait for the writer */
    struct loop_timer progress_timer; /* set while there are some */
    struct trace_rule *traces;        /* imap/trace.h */
    struct converted *converted;      /* imap/convert_cache.h */
    /* The account of another user; done is called later, with 0 and a counted reference, or why not
     * (ERR_NOT_FOUND, ERR_BUSY). NULL: there are no other users. */
    void (*account_of)(void *ctx, struct span user,
                       void (*done)(void *arg, int error, struct account *account), void *arg);
    /* The groups of a user, and the users who may share something with him (each name followed by
     * '\n'); done is called later. */
    void (*shares_of)(void *ctx, struct span user,
                      void (*done)(void *arg, int error, struct span groups, struct span owners),
                      void *arg);
    /* Before rights are given to an identifier, by `owner`. */
    void (*grant)(void *ctx, struct span owner, struct span identifier,
                  void (*done)(void *arg, int error), void *arg);
    /* Takes fd. Not 0: it cannot go back now. */
    int (*give_back)(void *ctx, const struct imap_return *r, int fd);
    void *account_ctx; /* of all four */
    /* A move to another account was left in the middle (store/transfer.h). NULL: nobody cares. */
    void (*settle)(void *ctx, struct account *source, const unsigned char *id);
    const char *public_user; /* whose mailboxes everybody sees below "Shared/"; NULL or "": none */
    void (*drained)(void *arg); /* imap_shutdown's */
    void *drained_arg;
};

/* Before anything else, on a zeroed struct. */
void imap_host_init(struct imap_host *host);

/* At the start, and when they change: sessions follow, but keep the kind of literals (LITERAL+ or
 * LITERAL-) that they were offered. */
void imap_settings_set(struct imap_host *host, const struct imap_settings *settings);

struct imap_start {
    int fd; /* the connection; owned by the session from now on */
    struct span user;
    struct span tag;     /* of the LOGIN or AUTHENTICATE that awaits its tagged OK */
    bool authenticate;   /* it was AUTHENTICATE */
    uint64_t session_id; /* follows the connection through all processes' logs */
    struct span peer;    /* address, for logs */
    bool tls;
    struct span tls_version; /* "TLSv1.3" */
    struct span mechanism;   /* "PLAIN"; of LOGIN too */
    struct span login;       /* who logged in, where that is not the user */
    struct span client_name; /* from ID before login, or empty */
    enum language language;
    unsigned login_process; /* where it comes from */
    bool local, tls_ended;  /* what that one knows of it */
    struct span input;      /* bytes that arrived after the login command */
};

/* Takes a counted reference of its own to the account, answers the login command and goes on. */
void imap_session_start(struct imap_host *host, const struct imap_start *start,
                        struct account *account);

/* What a session is and does at the moment, for the administrator. Spans are valid during the call;
 * what came from the client (client_name) may be any bytes. */
struct imap_session_info {
    uint64_t id;
    struct span user, login, peer, client_name, mechanism, tls_version;
    bool tls;
    struct span mailbox; /* selected, as it was called then; empty: none */
    bool read_only;
    const char *command; /* the oldest in progress, or NULL */
    size_t commands;     /* in progress */
    uint64_t since_us;   /* wall time of the login */
    uint64_t idle_us;    /* since the last input */
    uint64_t bytes_in, bytes_out;
};
void imap_sessions_each(struct imap_host *host,
                        void (*each)(void *arg, const struct imap_session_info *info), void *arg);
/* Says BYE with this text to all sessions of a user, or (user empty) to the session with this id,
 * and ends them. Returns how many. */
size_t imap_sessions_end(struct imap_host *host, struct span user, uint64_t id, const char *text);

/* Closes at once what is left of a user's sessions, whether their BYE has been read or not. */
void imap_sessions_drop(struct imap_host *host, struct span user);

/* Says BYE to every session and ends it; calls done when none is left. */
void imap_shutdown(struct imap_host *host, void (*done)(void *arg), void *arg);

#endif
