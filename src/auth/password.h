/* auth/password.h: stored secrets: what they look like, whether a password fits, new ones.
 *
 * The secrets of a user are one string, in the users file, a database column or an LDAP attribute:
 *
 *     secrets = ["!"] secret *(" " secret)         "!": the user is disabled (as in shadow(5))
 *     secret  = crypt(3)'s form ($y$, $gy$, $7$, $2b$, $6$, $5$, $1$ ...), also after {CRYPT},
 *               {BLF-CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {MD5-CRYPT} (Dovecot's names)
 *             / $argon2id$..., $argon2i$..., also after {ARGON2ID}, {ARGON2I}
 *             / {SCRAM-SHA-1}keys / {SCRAM-SHA-256}keys
 *                 keys = iterations,salt,StoredKey,ServerKey (base64; Dovecot's form; RFC 5802)
 *             / SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey   (RFC 5803, PostgreSQL; not in a
 *                 users file, where a colon ends the field)
 *             / {PLAIN}password         to the end of the string, spaces and all
 *             / *                       no password fits (others ways to log in may)
 *
 * A password fits if it fits any of the secrets; SCRAM keys are tried only when there is nothing
 * else, since they belong to the same password. Checking is slow on purpose.
 * Threads: any. Limits: passwords of at most PASSWORD_MAX bytes without NUL; longer ones fit
 * nothing. A hash with costs beyond what PASSWORD_* allow is refused as not understood. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/buf.h"
#include "base/err.h"

enum {
    PASSWORD_MAX = 512,
    PASSWORD_SECRETS_MAX = 4096,
    PASSWORD_SCRAM_ITERATIONS_MAX = 10000000,
    PASSWORD_ARGON2_MEMORY_MAX_KIB = 1 << 20,
};

struct password_scram {
    bool sha256; /* or SHA-1 */
    uint32_t iterations;
    unsigned char salt[64], stored_key[32], server_key[32];
    size_t salt_n, key_n; /* 20 or 32 */
};

/* Is every secret of a form that is known here? err says which is not. */
int password_secrets_valid(struct span secrets, struct err *err) must_check;
bool password_disabled(struct span secrets);
/* Does the password fit (a disabled user's, too)? At least one slow hash is computed for any
 * secrets that have one. */
bool password_check(struct span secrets, struct span password) must_check;
/* The SCRAM keys among the secrets, in the form "iterations,salt,StoredKey,ServerKey"; from
 * {PLAIN} they are made (with a new salt each time). False: there are none. */
bool password_scram(struct span secrets, bool sha256, struct buf *ret) must_check;
/* Whether there are keys for SCRAM-SHA-256 among them, or can be. Cheap. */
bool password_has_scram(struct span secrets);
int password_scram_parse(struct span keys, bool sha256, struct password_scram *ret) must_check;

/* New secrets. YESCRYPT_SCRAM, the default, makes all password mechanisms work at once. */
enum password_kind {
    PASSWORD_YESCRYPT_SCRAM,
    PASSWORD_YESCRYPT,
    PASSWORD_BCRYPT,
    PASSWORD_SHA512,
    PASSWORD_ARGON2ID,
    PASSWORD_SCRAM,
};
bool password_kind_parse(struct span name, enum password_kind *ret); /* "yescrypt+scram", ... */
/* Appends the secrets. ERR_INVALID: a password that cannot be (NUL, too long, empty). */
int password_make(enum password_kind k, struct span password, struct buf *ret,
                  struct err *err) must_check;
/* For one SCRAM hash with a given salt. */
void password_scram_make(bool sha256, struct span password, struct span salt, uint32_t iterations,
                         struct buf *ret);

/* Unknown users cost as much as known ones: a collection of one example for each kind of secrets
 * that are in use. Which of them an unknown name is checked against depends on the name alone, as
 * long as the process lives. learn and check: any thread. */
struct password_examples;
/* assume: until something was learned, secrets are taken to be yescrypt with its usual cost. */
struct password_examples *password_examples_new(bool assume);
void password_examples_free(struct password_examples *x);
void password_examples_learn(struct password_examples *x, struct span secrets);
/* password_check; where secrets have nothing to compute (an unknown user: secrets empty) an
 * example is computed in their place. */
bool password_examples_check(struct password_examples *x, struct span name, struct span secrets,
                             struct span password) must_check;

/* Compares without telling by its time where the difference is. */
bool secret_equal(struct span a, struct span b);

#endif
