/* auth/users.h: the users file, and checking passwords.
 *
 *     # comment
 *     fred:$y$j9T$...          what crypt(3) makes: yescrypt, bcrypt, SHA-512, ...
 *     mary:{PLAIN}a password
 *
 * Further fields after a crypt hash, separated by colons as in passwd(5), are ignored. Names are 1
 * to 255 bytes of UTF-8 without control characters, compared exactly. Ownership: users_load returns
 * one reference; a check that runs in a worker thread holds another. The contents never change.
 * Failure: a sentence with file and line. */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include "base/err.h"

struct users;

struct users *users_load(const char *file, struct err *err) must_check;
struct users *users_none(void);
struct users *users_ref(struct users *u); /* on the owner's thread ... */
void users_unref(struct users *u);        /* ... like this */
bool users_exists(const struct users *u, struct span name);
size_t users_count(const struct users *u);

/* Is this the user's password? Costs the same for an unknown user as for a wrong password: exactly
 * one crypt, if the file has any. Slow on purpose; any thread. */
bool users_check(const struct users *u, struct span name, struct span password) must_check;

/* Whether a name can be an account's at all. */
bool user_name_valid(struct span name);
/* Compares without telling by its time where the difference is. */
bool secret_equal(struct span a, struct span b);

#endif
