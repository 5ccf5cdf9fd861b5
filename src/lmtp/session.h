/* lmtp/session.h: mail coming in (LMTP, RFC 2033, on RFC 5321; extensions PIPELINING, SIZE,
 * 8BITMIME, SMTPUTF8, BINARYMIME and CHUNKING, ENHANCEDSTATUSCODES, and XMAILBOX, wire/lmtp.h).
 *
 * A session takes one message at a time into a spool and asks its host to deliver it to every
 * recipient; each recipient gets its own answer, when the message is durable. Until then the sender
 * keeps it. What it does not hear of (a lost connection, a crash) it sends again, and therefore
 * every delivery has an id: the host stores those that have the same one once. Sessions free
 * themselves. One loop thread. Limits: line length, recipients, message size, silence; a client
 * that stops reading or writing costs a bounded buffer. */
#ifndef LMTP_SESSION_H
#define LMTP_SESSION_H

#include "base/list.h"
#include "io/conn.h"
#include "lmtp/spool.h"

enum { LMTP_DELIVERY_ID = 16 };

/* detail: of user+detail, or empty. */
typedef void lmtp_lookup_done(void *arg, int error, struct span user, struct span detail);
/* ERR_EXISTS: it was delivered before. ERR_QUOTA: the user's mail may not grow. ERR_NO_SPACE,
 * ERR_LIMIT (too large), ERR_INVALID; others are temporary. */
typedef void lmtp_deliver_done(void *arg, int error);

struct lmtp_delivery {
    struct span user;
    struct span mailbox; /* what the sender asked for; empty: INBOX */
    struct span header;  /* lines that go before the message */
    unsigned char id[LMTP_DELIVERY_ID];
    struct spool *spool;
};

struct lmtp_settings {
    const char *host_name;
    const char *spool_dir;
    uint64_t message_max;
    size_t recipients_max;
    uint64_t timeout_s;
    bool detail_folder;        /* the detail of an address asks for a mailbox */
    bool over_quota_permanent; /* 552 instead of 452 */
};

struct lmtp_host {
    struct loop *loop;
    struct lmtp_settings settings;
    void *ctx;
    /* Which user has this address? 0, ERR_NOT_FOUND, or an error that may pass. `done` never comes
     * from within the call. */
    void (*lookup)(void *ctx, struct span address, lmtp_lookup_done *done, void *arg);
    /* What d points to is copied, the spool is referenced. `done` with 0 once durable; never from
     * within the call. */
    void (*deliver)(void *ctx, const struct lmtp_delivery *d, lmtp_deliver_done *done, void *arg);
    struct list sessions; /* list_init before use */
    size_t session_count;
    size_t spooled;           /* bytes of all spools in memory; 0 before use */
    void (*ended)(void *arg); /* after lmtp_shutdown */
    void *ended_arg;
    bool stopping;
};

/* Takes fd. */
void lmtp_session_start(struct lmtp_host *host, int fd, struct span peer);
/* No new commands; what is being delivered is answered first. Calls `ended` when none is left,
 * maybe at once. */
void lmtp_shutdown(struct lmtp_host *host, void (*ended)(void *arg), void *arg);

#endif
