/* auth/sasl.h: the server side of SASL mechanisms (RFC 4422), as data and step functions.
 *
 * A mechanism knows neither sockets nor directories. sasl_step takes what the client sent and says
 * what is next: send a challenge, ask a directory (s->ask says what; the answer goes to
 * sasl_answer), or the end. SASL_SUCCESS proves who the client is: s->name, as the directory spells
 * it; whether he may act as s->authzid is the caller's to decide.
 * Ownership: the struct copies all it is given and wipes it in sasl_done. Threads: one at a time.
 * Limits: fields of SASL_FIELD_MAX bytes. Names and passwords are prepared (auth/precis.h). */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "auth/directory.h"
#include "ipc/messages.h"

enum { SASL_FIELD_MAX = 1024 };

enum sasl_result {
    SASL_CHALLENGE, /* s->out is for the client, whose answer goes to sasl_step */
    SASL_ASK,       /* s->ask */
    SASL_SUCCESS,   /* s->out goes along; may be empty */
    SASL_DENIED,    /* not who he says he is */
    SASL_MALFORMED, /* not what the mechanism expects */
};

enum sasl_ask {
    SASL_ASK_PASSWORD, /* is s->secret the password of s->name? */
};

/* What the server can do for this client. */
struct sasl_offer {
    bool passwords; /* some directory can check one */
    bool secure;    /* nobody reads what the client sends */
};

struct sasl_mechanism;

struct sasl {
    const struct sasl_mechanism *mechanism;
    enum sasl_ask ask;
    struct buf name, authzid, secret, out;
    unsigned step; /* the mechanism's own */
};

/* NULL: none of ours. name in capitals. */
const struct sasl_mechanism *sasl_find(struct span name);
const char *sasl_name(const struct sasl_mechanism *m);
/* Would it be secure, were it on TLS? */
bool sasl_needs_secure(const struct sasl_mechanism *m);
bool sasl_offered(const struct sasl_mechanism *m, const struct sasl_offer *offer);
/* All that are offered, best first, separated by spaces. */
void sasl_list(const struct sasl_offer *offer, struct buf *out);

void sasl_init(struct sasl *s, const struct sasl_mechanism *m);
void sasl_done(struct sasl *s);
/* The client's data; has_data false: the exchange begins without an initial response. */
enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data);
/* What the directory said to SASL_ASK: 0 with e, or ERR_NOT_FOUND or ERR_DENIED. */
enum sasl_result sasl_answer(struct sasl *s, int error, const struct directory_entry *e);

#endif
