/* ipc/messages.h: everything that Martlet's processes say to each other.
 *
 * One packet of a SOCK_SEQPACKET socket is one message, with at most one descriptor. A
 * message is plain data with a version and a kind, encoded field by field (base/bytes.h), never a
 * copied struct. Who may send what to whom is one table (messages.c); anything else, and anything
 * malformed, makes the receiver close that channel, and harms nothing else.
 *
 * Spans of a decoded message point into the packet and are valid during the receiver's callback.
 * Pure functions, any thread. Limits: a packet has at most MESSAGE_MAX bytes; each field has its
 * own maximum, beyond which message_encode fails with ERR_LIMIT and message_decode with
 * ERR_INVALID. */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include "base/buf.h"
#include "base/err.h"

enum {
    MESSAGE_VERSION = 1,
    MESSAGE_MAX = 64 * 1024,
    HANDOVER_INPUT_MAX = 32 * 1024,
    USER_NAME_MAX = 255,
    SHARED_GROUPS_MAX = 8 * 1024,
    SHARED_OWNERS_MAX = 48 * 1024,
    SASL_DATA_MAX = 16 * 1024,
    CHAIN_MAX = 56 * 1024,
    TICKET_KEY_SIZE = 80,
    SIGN_DATA_MAX = 256,
    SIGNATURE_MAX = 1024,
    KEY_ID_SIZE = 32,
};

/* The parties. An administrator's tool (CTL) connects to a mail process. */
enum role { ROLE_SUPERVISOR, ROLE_LOGIN, ROLE_AUTH, ROLE_MAIL, ROLE_METRICS, ROLE_CTL, ROLE_COUNT };
const char *role_name(enum role r);

enum message_kind {
    /* Supervisor to its children. A child gets CONFIG first, LISTENERs and PEERs in any order, then
     * START; it answers READY. RELOAD comes with a new CONFIG before it, and is answered with
     * RELOADED. */
    MESSAGE_CONFIG = 1,
    MESSAGE_LISTENER, /* with the listening socket; also later, for a new address */
    MESSAGE_PEER,     /* with one end of a channel; replaces an earlier one to the same peer */
    MESSAGE_START,
    MESSAGE_READY,    /* child to supervisor ... */
    MESSAGE_RELOADED, /* ... the same */
    MESSAGE_REPLACE,  /* instead: only a new process can do what the new settings need */
    MESSAGE_RELOAD,
    MESSAGE_SHUTDOWN,
    MESSAGE_UNLISTEN, /* this listener is no longer in the configuration */
    MESSAGE_METRICS,  /* with a page (base/metrics.h): to count in, or, to martlet-metrics, to read
                       */
    MESSAGE_LOG,      /* with a connected datagram socket for log lines (log.to) */

    /* Generations of login processes. One that has nearly served its group says FULL; when its
     * successor accepts it gets RETIRE, accepts no more, says FULL at once and again as its
     * connections become fewer, and ends with the last one. SHARE tells the successor how many
     * connections the retired ones of its slot still have. */
    MESSAGE_FULL,
    MESSAGE_RETIRE,
    MESSAGE_SHARE,

    /* Whom a mail process works for, and whom it is to refuse (base/worknote.h). */
    MESSAGE_WORKNOTES,  /* with the shared page */
    MESSAGE_QUARANTINE, /* seconds 0: no longer */
    MESSAGE_RELEASE,    /* mail to supervisor: an administrator says so */

    /* Login asks auth. id is chosen by login; a dialogue ends with AUTH_OK, AUTH_FAILED or
       AUTH_CANCEL. */
    MESSAGE_AUTH_START,
    MESSAGE_AUTH_CHALLENGE,
    MESSAGE_AUTH_CONTINUE,
    MESSAGE_AUTH_CANCEL,
    MESSAGE_AUTH_OK,
    MESSAGE_AUTH_FAILED,
    MESSAGE_AUTH_MECHANISMS, /* what can be offered; at start and after a reload */

    /* TLS: auth tells login processes the certificates (all that is public of them), anew after
       every reload, and the keys that encrypt session tickets; login asks auth to sign what a
       handshake needs signed. */
    MESSAGE_TICKET_KEYS,
    MESSAGE_CERTIFICATES, /* a new set: `count` CERTIFICATEs of this generation follow */
    MESSAGE_CERTIFICATE,
    MESSAGE_SIGN,
    MESSAGE_SIGNED,

    /* Auth tells the mail process of the account that a login was right; login gives it the
       connection, with the voucher. */
    MESSAGE_VOUCHER,
    MESSAGE_HANDOVER,

    /* A mail process asks auth whether a user exists (deliveries). */
    MESSAGE_USER_LOOKUP,
    MESSAGE_USER_FOUND,

    /* Mail processes among themselves. */
    MESSAGE_RESOLVE, /* to the owner of the site log: which account has this name? */
    MESSAGE_RESOLVED,
    MESSAGE_DELIVER, /* to the owner of the account; with the message's file */
    MESSAGE_DELIVERED,

    /* martletctl and a mail process: a request, any number of results, the last one `final`. */
    MESSAGE_CONTROL,
    MESSAGE_CONTROL_RESULT,

    /* A mail process uses an account of another one (store/remote.h): to the owner ... */
    MESSAGE_REMOTE_OPEN,
    MESSAGE_REMOTE_FILE, /* with message bytes */
    MESSAGE_REMOTE_REQUEST,
    MESSAGE_REMOTE_WATCH,
    MESSAGE_REMOTE_RECENT,
    MESSAGE_REMOTE_RELEASE,
    /* ... and from it. */
    MESSAGE_REMOTE_OPENED,
    MESSAGE_REMOTE_RESULT,
    MESSAGE_REMOTE_CHANGED,
    MESSAGE_REMOTE_CLOSED,

    /* To the owner of the site log: which groups a user is in, and who shares with him ... */
    MESSAGE_SHARES,
    MESSAGE_SHARED,
    MESSAGE_GRANT, /* ... and that somebody is about to share with an identifier */
    MESSAGE_GRANTED,

    /* Mail gives a connection back to the login process that it came from (UNAUTHENTICATE). */
    MESSAGE_RETURN,

    MESSAGE_KIND_COUNT
};

enum listener_kind {
    LISTENER_IMAP = 1,
    LISTENER_IMAPS,
    LISTENER_LMTP,
    LISTENER_CONTROL,
    LISTENER_METRICS,
    LISTENER_IMAP_PROXY, /* a PROXY header comes first (wire/proxy.h) */
    LISTENER_IMAPS_PROXY,
    LISTENER_MTA, /* authentication for an MTA, to auth */
    LISTENER_KIND_COUNT
};

/* What a connection needs for a mechanism: the digit before its name in AUTH_MECHANISMS. */
enum mechanism_needs { NEEDS_SECURE = 1, NEEDS_BINDING = 2, NEEDS_CERTIFICATE = 4 };

enum auth_failure {
    AUTH_FAILURE_CREDENTIALS = 1, /* unknown user or wrong password: not said which */
    AUTH_FAILURE_MECHANISM,       /* not offered (without TLS) */
    AUTH_FAILURE_SYNTAX,          /* not what the mechanism expects */
    AUTH_FAILURE_UNAVAILABLE,     /* cannot be decided now */
    AUTH_FAILURE_EXPIRED,         /* right, but no longer (RFC 5530 EXPIRED) */
    AUTH_FAILURE_AUTHORIZATION,   /* right, but not for that user or service */
    AUTH_FAILURE_PRIVACY,         /* only over TLS (RFC 5530 PRIVACYREQUIRED) */
};

/* Where a client is, and what its TLS connection vouches for. Empty: not there. */
struct auth_peer {
    struct span address;          /* the client's, behind a proxy too */
    struct span local;            /* the address it connected to */
    bool tls, secure;             /* secure: TLS, or a local connection: passwords as they are */
    struct span binding_exporter; /* tls-exporter (RFC 9266) */
    struct span binding_unique;   /* tls-unique (RFC 5929), TLS 1.2 only */
    struct span binding_endpoint; /* tls-server-end-point (RFC 5929) */
    struct span certificate_user; /* whom a verified client certificate names (EXTERNAL) */
};

struct message {
    enum message_kind kind;
    union {
        struct {
            struct span settings; /* conf_encode */
            uint32_t index;       /* of the process among its kind ... */
            uint32_t mail_count;  /* ... and how many mail processes there are */
            uint32_t generation;  /* of a login process: how many its slot had before */
        } config;
        struct {
            uint32_t kind; /* enum listener_kind; 0 in UNLISTEN */
            uint32_t id;
        } listener; /* LISTENER, UNLISTEN */
        struct {
            uint32_t role;  /* enum role */
            uint32_t index; /* of a login process: a number that is never used again */
        } peer;
        struct {
            uint32_t role;  /* enum role: whose page it is ... */
            uint32_t index; /* ... and which of those of that role */
        } metrics;
        struct {
            uint32_t connections, sessions; /* sessions: those of them that have logged in */
            uint32_t handshakes;            /* TLS connections without a greeting yet */
        } load;                             /* FULL; SHARE with connections alone */
        struct {
            struct span account; /* 16 bytes */
            uint32_t seconds;    /* from now */
            uint32_t crashes;
        } quarantine; /* RELEASE with account alone */

        struct {
            uint64_t id, session;
            struct span mechanism; /* in capitals */
            bool has_initial;
            struct span initial; /* decoded */
            struct span service; /* "imap" */
            struct auth_peer peer;
        } auth_start;
        struct {
            uint64_t id;
            struct span data; /* decoded */
        } auth_data;          /* AUTH_CHALLENGE, AUTH_CONTINUE */
        struct {
            uint64_t id;
            struct span user;  /* the account's name */
            struct span login; /* who proved it: the user, or who acts as the user */
            struct span data;  /* what the mechanism sends along with success; may be empty */
            uint64_t voucher;  /* to be named in the handover */
        } auth_ok;
        struct {
            uint64_t id;
            uint32_t failure; /* enum auth_failure; 0 in AUTH_CANCEL */
        } auth_end;           /* AUTH_FAILED, AUTH_CANCEL */

        struct {
            struct span list; /* "4EXTERNAL 0SCRAM-SHA-256 1PLAIN": enum mechanism_needs, name */
        } mechanisms;

        struct {
            struct span current, previous; /* TICKET_KEY_SIZE bytes; empty: none */
        } ticket_keys;
        struct {
            uint32_t generation, count; /* none: there is no TLS */
            struct span client_ca;      /* certificates (DER), as control_args_put puts them */
            /* The settings that these belong to, of the same names: what auth could not load must
               not be half in force. */
            uint32_t minimum, client_certificates, client_user;
            uint64_t ticket_lifetime;
        } certificates;
        struct {
            uint32_t generation;
            struct span chain; /* certificates (DER), as control_args_put puts them; ours first */
        } certificate;
        struct {
            uint64_t id;
            struct span key; /* SHA-256 of the certificate's public key info */
            uint32_t scheme; /* SignatureScheme of RFC 8446 section 4.2.3 */
            struct span data;
        } sign;
        struct {
            uint64_t id;
            int32_t error;
            struct span signature;
        } signature; /* SIGNED */

        struct {
            uint64_t id, session;
            struct span user;
        } voucher;
        struct {
            uint64_t session, voucher;
            struct span user;
            struct span tag;
            bool authenticate; /* the command was AUTHENTICATE, not LOGIN */
            bool tls;
            struct span tls_version; /* "TLSv1.3" */
            struct span peer;
            struct span login;       /* who logged in, where that is not the user */
            struct span mechanism;   /* "PLAIN"; of LOGIN too */
            struct span client_name; /* from ID before login; may be empty */
            uint32_t language;       /* enum language of wire/language.h */
            bool local, tls_ended;   /* for RETURN */
            struct span input;       /* bytes that came after the login command */
        } handover;
        struct {
            uint64_t session;
            bool tls;              /* the login process still has its other end ... */
            bool local, tls_ended; /* ... and else would not know these */
            struct span peer, client_name;
            struct span input; /* bytes that came after UNAUTHENTICATE */
        } give_back;           /* RETURN */

        struct {
            uint64_t id;
            struct span name;
        } user_lookup;
        struct {
            uint64_t id;
            int32_t error;      /* 0 or ERR_NOT_FOUND, ... */
            struct span user;   /* the account's name */
            struct span detail; /* of user+detail */
        } user_found;

        struct {
            uint64_t id;
            struct span user;
            bool create;
        } resolve;
        struct {
            uint64_t id;
            int32_t error;
            struct span account; /* 16 bytes, empty on error */
        } resolved;
        struct {
            uint64_t id;
            struct span user;       /* in GRANT who shares */
            struct span identifier; /* GRANT */
        } shares;                   /* SHARES, GRANT */
        struct {
            uint64_t id;
            int32_t error;
            struct span groups, owners; /* SHARED: names, each followed by '\n' */
        } shared;                       /* SHARED, GRANTED */
        struct {
            uint64_t id;
            struct span user;
            struct span mailbox;  /* empty: INBOX */
            struct span header;   /* lines that go before the message, as Return-Path */
            struct span delivery; /* its id: 16 bytes */
            uint64_t size;        /* bytes of the file, from its beginning */
        } deliver;
        struct {
            uint64_t id;
            int32_t error;
        } delivered;

        struct {
            uint64_t id;
            struct span verb;
            struct span args; /* see control_args_put */
        } control;
        struct {
            uint64_t id;
            bool final;
            int32_t error;
            struct span text; /* for people; of a final one with error: why */
        } control_result;

        struct {
            uint64_t lease, id, modseq;
            uint32_t mailbox;
            int32_t error;
            struct span body;
        } remote; /* REMOTE_*: struct remote_packet */
    } u;
};

/* Appends the packet. ERR_LIMIT: a field is too long. */
int message_encode(const struct message *m, struct buf *out) must_check;
/* ERR_INVALID or ERR_VERSION. */
int message_decode(struct span packet, struct message *ret) must_check;
const char *message_name(enum message_kind k);

/* May `from` send this kind to `to`? */
bool message_permitted(enum role from, enum role to, enum message_kind k);

enum fd_rule { MESSAGE_FD_NONE, MESSAGE_FD_REQUIRED, MESSAGE_FD_OPTIONAL };
enum fd_rule message_fd_rule(enum message_kind k);

/* Lists of arguments in one span. */
void control_args_put(struct buf *args, struct span arg);
bool control_args_next(struct span *args, struct span *ret); /* false at the end */

/* Which of n mail processes an account belongs to. The same in every process and version. */
unsigned route_user(struct span user, unsigned n);

#endif
