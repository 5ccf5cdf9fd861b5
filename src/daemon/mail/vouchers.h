/* daemon/mail/vouchers.h: who says that a connection is authenticated.
 *
 * A login process faces strangers: its word is not enough. martlet-auth sends a voucher (a random
 * number, the session, the user) to the mail process of the account before it tells the login
 * process that all is well; the handover has to name it, once. They come on different channels, so
 * either may be first: a claim waits for its voucher, and a voucher for its claim, for VOUCHER_MS.
 *
 * Ownership: a claim is embedded in its owner, who keeps it (and its user) until `answer`. Threads:
 * the loop's. Limits: VOUCHERS_MAX of both together; beyond it claims are refused and vouchers
 * forgotten. */
#ifndef DAEMON_MAIL_VOUCHERS_H
#define DAEMON_MAIL_VOUCHERS_H

#include "base/map.h"
#include "base/span.h"

enum { VOUCHER_MS = 10000, VOUCHERS_MAX = 50000 };

struct vouchers {
    struct map map; /* id -> struct voucher */
    size_t count;
};

struct voucher_claim {
    uint64_t id, session;
    struct span user;
    void (*answer)(struct voucher_claim *c, bool right); /* once, maybe at once */
    struct voucher_claim *next;                          /* private */
};

void vouchers_add(struct vouchers *v, uint64_t id, uint64_t session, struct span user,
                  uint64_t now_ms);
void vouchers_claim(struct vouchers *v, struct voucher_claim *c, uint64_t now_ms);
/* Now and then: what has waited too long. */
void vouchers_expire(struct vouchers *v, uint64_t now_ms);
/* Refuses all claims. */
void vouchers_done(struct vouchers *v);

#endif
