/* auth/app_password.h: passwords for single programs, beside the user's own.
 *
 * One file, a line each, fields separated by colons, times in seconds since 1970:
 *
 *     user:id:name:hash:services:expires:created
 *     fred:k3f9x2:my%20phone:sha256$<salt>$<hash>:imap,smtp:0:1790000000
 *
 * user and name have "%", ":" , controls and spaces as %XX. services is a list separated by commas,
 * or empty: all. expires 0: never. Ids are unique within a user. They are generated, never chosen:
 * 20 characters of 32 (100 bits), shown as aaaa-bbbb-cccc-dddd-eeee; case, spaces and dashes do not
 * count when one is typed. Against so many possibilities guessing is hopeless whatever the hash, so
 * that a salted SHA-256 does, and a check costs nothing. They are for mechanisms that carry a
 * password (PLAIN, LOGIN): SCRAM would need keys stored under one password a user. Changes are made
 * as in users_edit.h. Threads: any. */
#ifndef AUTH_APP_PASSWORD_H
#define AUTH_APP_PASSWORD_H

#include "base/buf.h"
#include "base/err.h"

enum { APP_PASSWORDS_PER_USER_MAX = 64, APP_PASSWORD_NAME_MAX = 100, APP_PASSWORD_ID_MAX = 16 };

struct app_password {
    struct span user, id, name; /* decoded */
    struct span services;       /* "imap,smtp"; empty: all */
    uint64_t expires, created;  /* seconds; expires 0: never */
    struct span hash;
};

/* Makes one and appends the secret, to be shown once, to ret_secret and its id to ret_id.
 * ERR_INVALID (name, services: lower-case words), ERR_LIMIT (too many for the user), ERR_EXISTS
 * (the user has one of that name). Does not know which users exist. */
int app_password_add(const char *file, struct span user, struct span name, struct span services,
                     uint64_t expires, struct buf *ret_secret, struct buf *ret_id,
                     struct err *err) must_check;
/* id: the id or the name of one. ERR_NOT_FOUND. */
int app_password_revoke(const char *file, struct span user, struct span id,
                        struct err *err) must_check;
/* All of a user that is no more; the number of them, or an error. */
int app_password_revoke_all(const char *file, struct span user, struct err *err) must_check;
/* In the order of the file; user empty: everybody's. A missing file has none. Non-zero of each ends
 * it. */
int app_password_each(const char *file, struct span user,
                      int (*each)(void *arg, const struct app_password *p), void *arg,
                      struct err *err) must_check;

/* For martlet-auth: the file in memory, read again when it changes. file "" or missing: none. */
struct app_passwords;
struct app_passwords *app_passwords_new(const char *file);
void app_passwords_free(struct app_passwords *a);
/* Could it be one by its form? Only then anybody need be asked. */
bool app_passwords_any(struct app_passwords *a); /* has anybody one? */
bool app_password_looks_like(struct span password);
/* ret_name: malloc'd. ERR_NOT_FOUND: no. ERR_BUSY: the file cannot be read (a broken new file
 * leaves the old one in force and is logged). */
int app_passwords_check(struct app_passwords *a, struct span user, struct span password,
                        struct span service, char **ret_name, struct err *err) must_check;

#endif
