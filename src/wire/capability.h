/* wire/capability.h: which capabilities are offered, and when (RFC 9051 section 7.2.2).
 *
 * One table for the greeting, CAPABILITY before and after login, and the code in the answer to
 * LOGIN and AUTHENTICATE. A new capability is one row in capability.c. Pure; any thread. */
#ifndef WIRE_CAPABILITY_H
#define WIRE_CAPABILITY_H

#include "base/buf.h"

enum capability_utf8 { CAPABILITY_UTF8_NONE, CAPABILITY_UTF8_ACCEPT, CAPABILITY_UTF8_ONLY };

struct capability_state {
    bool authenticated;
    bool tls;                  /* the connection is encrypted: no STARTTLS any more */
    bool starttls;             /* there is a certificate */
    bool plaintext;            /* passwords are accepted on this connection */
    uint64_t append_limit;     /* octets of a message (RFC 7889), after login */
    uint64_t save_limit;       /* messages of one APPEND or COPY (RFC 9738), after login; or ... */
    uint64_t message_limit;    /* ... of any command, instead; 0: that is not announced */
    struct span mechanisms;    /* of SASL, separated by spaces: "SCRAM-SHA-256 PLAIN" */
    enum capability_utf8 utf8; /* RFC 9755: never both */
    bool referrals;            /* some users are elsewhere (RFC 2221) */
    bool compressed;           /* COMPRESS is active (RFC 4978) */
    bool literal_minus;        /* LITERAL- instead of LITERAL+ (RFC 7888 section 5: never both) */
};

/* Appends "IMAP4rev1 IMAP4rev2 LITERAL+ ...", without the word CAPABILITY. */
void capability_write(struct buf *out, const struct capability_state *state);

#endif
