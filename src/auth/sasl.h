/* auth/sasl.h: the server side of SASL mechanisms that carry a password (RFC 4422).
 *
 * PLAIN (RFC 4616), and LOGIN (draft-murchison-sasl-login) for old clients. The exchange here
 * ends with a name and a password; whether they belong together is users_check's to say.
 * Ownership: the struct keeps the password until sasl_done wipes it. Pure; one thread at a time. */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "base/buf.h"

enum sasl_mechanism { SASL_NONE, SASL_PLAIN, SASL_LOGIN };
enum sasl_result { SASL_CHALLENGE, SASL_READY, SASL_MALFORMED };

struct sasl {
    enum sasl_mechanism mechanism;
    bool asked_password; /* LOGIN: the name is known */
    struct buf user, password;
};

/* False if the name (in capitals) is none of ours. */
bool sasl_init(struct sasl *s, struct span mechanism);
void sasl_done(struct sasl *s);
/* Feed the client's data (has_data false: the exchange begins without an initial response). With
 * SASL_CHALLENGE, *ret_challenge is what to send (static); with SASL_READY user and password are
 * there. */
enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data,
                           struct span *ret_challenge);

#endif
