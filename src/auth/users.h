/* auth/users.h: the users file.
 *
 *     # comment
 *     fred:$y$j9T$... {SCRAM-SHA-256}4096,...       one or several secrets (password.h)
 *     anne:!$6$...                                  disabled: gets mail, does not log in
 *     paul:*                                        no password (but a certificate, a token, an app
 * password) mary:{PLAIN}a password
 *
 * Further fields after the secrets, separated by colons as in passwd(5), are ignored; {PLAIN} goes
 * to the end of the line. Names are 1 to 255 bytes of UTF-8, and prepared when the file is read
 * (auth/precis.h; keep_case: auth.username_case); others ask with prepared names. Ownership:
 * reference-counted, any thread; the contents never change. Failure: a sentence with file and line.
 */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include "auth/password.h"

struct users;

struct users *users_load(const char *file, bool keep_case, struct err *err) must_check;
struct users *users_none(void);
struct users *users_ref(struct users *u);
void users_unref(struct users *u);
bool users_exists(const struct users *u, struct span name);
/* The secrets as they stand in the file, without their "!"; they live as long as u. */
bool users_find(const struct users *u, struct span name, struct span *ret_secrets,
                bool *ret_disabled);
size_t users_count(const struct users *u);
/* Can everybody who has a password log in by SCRAM? */
bool users_all_scram(const struct users *u);

/* Is this the user's password (whether disabled or not)? Costs the same for an unknown user as for
 * a wrong password. Slow on purpose. */
bool users_check(const struct users *u, struct span name, struct span password) must_check;

/* Whether a name can be an account's at all. */
bool user_name_valid(struct span name);

#endif
