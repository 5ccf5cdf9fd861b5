/* auth/jwt_int.h: JSON Web Tokens (RFC 7519) signed with a key of a set (RFC 7517).
 *
 * Only signatures with public keys are known here (RS256/384/512, PS256/384/512, ES256, ES384,
 * EdDSA with Ed25519): "none" and HMAC have no entry in the table, and the kind of the key must be
 * that of the algorithm, so that a token cannot choose how it is looked at (RFC 8725). Pure
 * functions, any thread. Limits: JWT_MAX bytes, JWT_KEYS_MAX keys. */
#ifndef AUTH_JWT_INT_H
#define AUTH_JWT_INT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

enum { JWT_MAX = 16 * 1024, JWT_KEYS_MAX = 64, JWT_KEYS_TEXT_MAX = 1 << 20 };

struct jwt_keys;
/* Keys of other kinds and uses are skipped; ERR_INVALID: not a key set, or none is left. */
int jwt_keys_parse(struct span text, struct jwt_keys **ret, struct err *err) must_check;
struct jwt_keys *jwt_keys_ref(struct jwt_keys *k);
void jwt_keys_unref(struct jwt_keys *k);

struct jwt {
    struct span signed_part;
    struct buf signature;
    json_t *header, *claims;
};

/* Takes a token apart; nothing is verified yet. ERR_INVALID. jwt_done in any case. */
int jwt_parse(struct span token, struct jwt *ret, struct err *err) must_check;
void jwt_done(struct jwt *t);
/* ERR_NOT_FOUND: none of the keys is meant (kid); ERR_DENIED: the signature is not right. */
int jwt_verify(const struct jwt *t, const struct jwt_keys *keys, struct err *err) must_check;

/* base64url without padding (RFC 7515 section 2). */
int base64url_decode(struct span s, struct buf *out) must_check;

struct claims_wanted {
    const char *issuer, *audience, *scope, *user_claim; /* "": not looked at */
    uint64_t now, leeway;                               /* seconds */
    bool must_expire;
};
/* Appends the name of the user. ERR_DENIED, ERR_NOT_FOUND (another issuer). */
int claims_check(const json_t *claims, const struct claims_wanted *w, struct buf *ret_user,
                 struct err *err) must_check;

#endif
