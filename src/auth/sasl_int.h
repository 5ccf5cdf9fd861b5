/* auth/sasl_int.h: what a mechanism implements. */
#ifndef AUTH_SASL_INT_H
#define AUTH_SASL_INT_H

#include "auth/sasl.h"

struct sasl_mechanism {
    const char *name;
    bool secure;    /* shows a secret to whoever listens */
    bool passwords; /* of use only where a directory checks passwords */
    enum sasl_result (*step)(struct sasl *s, bool has_data, struct span data);
    enum sasl_result (*answer)(struct sasl *s, int error, const struct directory_entry *e);
};

/* sasl_password.c */
enum sasl_result sasl_plain_step(struct sasl *s, bool has_data, struct span data);
enum sasl_result sasl_login_step(struct sasl *s, bool has_data, struct span data);
/* The directory has the last word. */
enum sasl_result sasl_plain_answer(struct sasl *s, int error, const struct directory_entry *e);

/* sasl.c */
enum sasl_result sasl_ask(struct sasl *s, enum sasl_ask what);
enum sasl_result sasl_challenge(struct sasl *s, struct span data);
/* The name as the directory spells it. */
enum sasl_result sasl_succeed(struct sasl *s, const struct directory_entry *e);

#endif
