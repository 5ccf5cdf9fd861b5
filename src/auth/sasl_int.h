/* auth/sasl_int.h: what a mechanism implements. */
#ifndef AUTH_SASL_INT_H
#define AUTH_SASL_INT_H

#include "auth/sasl.h"

/* What a mechanism needs, to be offered. */
enum {
    SASL_SECURE = 1 << 0, /* it shows a secret to whoever listens */
    SASL_PASSWORDS = 1 << 1,
    SASL_SCRAM = 1 << 2,
    SASL_TOKENS = 1 << 3,
    SASL_BINDING = 1 << 4,
    SASL_CERTIFICATE = 1 << 5,
    SASL_ANONYMOUS = 1 << 6,

    SASL_SHA256 = 1 << 16, /* of SCRAM; no need */
    SASL_SERVER_FIRST = 1 << 17,
};

struct sasl_mechanism {
    const char *name;
    unsigned flags;
    enum sasl_result (*step)(struct sasl *s, struct span data);
    enum sasl_result (*answer)(struct sasl *s, int error, const struct directory_entry *e);
    const char *first; /* SASL_SERVER_FIRST: the first challenge */
};

/* sasl_password.c */
enum sasl_result sasl_plain_step(struct sasl *s, struct span data);
enum sasl_result sasl_login_step(struct sasl *s, struct span data);

/* sasl_simple.c */
enum sasl_result sasl_external_step(struct sasl *s, struct span data);
enum sasl_result sasl_anonymous_step(struct sasl *s, struct span data);

/* scram.c */
enum sasl_result scram_step(struct sasl *s, struct span data);
enum sasl_result scram_answer(struct sasl *s, int error, const struct directory_entry *e);
void scram_free(struct scram *x);

/* oauth_bearer.c */
enum sasl_result sasl_oauthbearer_step(struct sasl *s, struct span data);
enum sasl_result sasl_xoauth2_step(struct sasl *s, struct span data);
enum sasl_result sasl_oauthbearer_answer(struct sasl *s, int error,
                                         const struct directory_entry *e);
enum sasl_result sasl_xoauth2_answer(struct sasl *s, int error, const struct directory_entry *e);

/* sasl.c */
enum sasl_result sasl_ask(struct sasl *s, enum sasl_ask what);
enum sasl_result sasl_challenge(struct sasl *s, struct span data);
/* The directory has the last word: the name as it spells it. */
enum sasl_result sasl_believe(struct sasl *s, int error, const struct directory_entry *e);
/* Replaces what is in to. SASL_ASK: good; SASL_DENIED: no user can have such a name;
 * SASL_MALFORMED: not even text. */
enum sasl_result sasl_take_name(const struct sasl *s, struct span name, struct buf *to);
enum sasl_result sasl_take_authzid(struct sasl *s, struct span authzid); /* empty is good */

/* The gs2-header of RFC 5801 section 4, with which SCRAM and OAUTHBEARER begin. */
struct gs2 {
    char flag;           /* 'n', 'y' or 'p' */
    struct span binding; /* of 'p': its name */
    struct span authzid; /* still encoded */
    struct span header;  /* all of it, with the comma at its end */
};
/* Takes the header out of *s. */
bool gs2_parse(struct span *s, struct gs2 *ret);
/* saslname: "=2C" and "=3D" for comma and equals sign (RFC 5802 section 5.1). */
bool gs2_name_decode(struct span s, struct buf *ret);

#endif
