/* auth/sasl.h: the server side of SASL mechanisms (RFC 4422), as data and step functions.
 *
 * A mechanism knows neither sockets nor directories. sasl_step takes what the client sent and says
 * what is next: send a challenge, ask a directory (s->ask says what; the answer goes to
 * sasl_answer), or the end. SASL_SUCCESS proves who the client is: s->name, as the directory spells
 * it; whether he may act as s->authzid is the caller's to decide.
 * Ownership: the struct copies all it is given but `setup`, and wipes it in sasl_done. Threads: one
 * at a time. Limits: fields of SASL_FIELD_MAX bytes, tokens of SASL_DATA_MAX. Names and passwords
 * are prepared here (auth/precis.h). No clock, no random source: tests are exact. */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "auth/directory.h"
#include "ipc/messages.h"

enum { SASL_FIELD_MAX = 1024, SASL_KEY_SIZE = 32 };

enum sasl_result {
    SASL_CHALLENGE, /* s->out is for the client, whose answer goes to sasl_step */
    SASL_ASK,       /* s->ask */
    SASL_SUCCESS,   /* s->out goes along; may be empty */
    SASL_DENIED,    /* not who he says he is */
    SASL_MALFORMED, /* not what the mechanism expects */
};

enum sasl_ask {
    SASL_ASK_PASSWORD, /* is s->secret the password of s->name? */
    SASL_ASK_KEYS,     /* what is known of s->name? (stored keys) */
    SASL_ASK_TOKEN,    /* whose token is s->secret? */
    SASL_ASK_USER,     /* is there a user s->name? */
};

/* What the server can do for this client. */
struct sasl_offer {
    bool passwords, scram, tokens; /* some directory can check one */
    bool anonymous;                /* an account for everybody is configured */
    bool secure;                   /* nobody reads what the client sends */
    bool binding;                  /* the connection has channel bindings */
    bool certificate;              /* and the client a verified certificate */
};

/* Borrowed until sasl_done. */
struct sasl_setup {
    struct sasl_offer offer;
    const char *nonce;        /* SCRAM: printable, no comma, never used before */
    const unsigned char *key; /* SASL_KEY_SIZE bytes, the server's secret: makes salts for users
                                 that are not there, the same at each try */
    bool keep_case;           /* of user names */
    const char *anonymous_user;
    const char *oauth_scope, *oauth_configuration; /* for RFC 7628 section 3.2.2; "": none */
};

struct sasl_mechanism;

struct sasl {
    const struct sasl_mechanism *mechanism;
    const struct sasl_setup *setup;
    enum sasl_ask ask;
    struct buf name, authzid, secret, out;
    struct buf trace; /* ANONYMOUS: what the client wants to be known as */
    bool refused;     /* denied already; the client is being told why (OAUTHBEARER) */

    /* The mechanism's own. */
    unsigned step;
    struct buf bindings[3], certificate_user;
    struct scram *scram;
};

/* NULL: none of ours. name in capitals. */
const struct sasl_mechanism *sasl_find(struct span name);
const char *sasl_name(const struct sasl_mechanism *m);
/* Would it be offered, were nobody listening? */
bool sasl_wants_privacy(const struct sasl_mechanism *m, const struct sasl_offer *offer);
bool sasl_offered(const struct sasl_mechanism *m, const struct sasl_offer *offer);
/* All that are offered, best first, separated by spaces. */
void sasl_list(const struct sasl_offer *offer, struct buf *out);

/* As MESSAGE_AUTH_MECHANISMS has them: all that some connection may be offered, each after what it
 * needs of the connection. */
void sasl_table(const struct sasl_offer *offer, struct buf *out);

void sasl_init(struct sasl *s, const struct sasl_mechanism *m, const struct sasl_setup *setup,
               const struct auth_peer *peer);
void sasl_done(struct sasl *s);
/* The client's data; has_data false: the exchange begins without an initial response. */
enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data);
/* What the directory said to SASL_ASK: 0 with e, or ERR_NOT_FOUND or ERR_DENIED. */
enum sasl_result sasl_answer(struct sasl *s, int error, const struct directory_entry *e);

#endif
