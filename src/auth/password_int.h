/* auth/password_int.h: shared by password*.c. */
#ifndef AUTH_PASSWORD_INT_H
#define AUTH_PASSWORD_INT_H

#include "auth/password.h"

/* RFC 7677 section 4 asks for at least 4096. */
enum { PASSWORD_SCRAM_ITERATIONS = 4096, PASSWORD_SCRAM_SALT = 16 };

enum password_form {
    PASSWORD_NOTHING,
    PASSWORD_PLAIN,
    PASSWORD_CRYPT,
    PASSWORD_ARGON2ID_HASH,
    PASSWORD_ARGON2I_HASH,
    PASSWORD_SCRAM_SHA1,
    PASSWORD_SCRAM_SHA256,
};

struct password_secret {
    enum password_form form;
    struct span value; /* without the scheme */
};

/* Takes the next secret from *rest; false at the end. */
bool password_secret_next(struct span *rest, struct password_secret *ret);
/* Computes both keys from salt and iterations. */
void password_scram_derive(struct password_scram *s, struct span password);
void password_scram_put(const struct password_scram *s, struct buf *out);
/* Appends what decides how long a check takes; nothing: it takes no time. */
void password_shape(struct span secrets, struct buf *out);

#endif
