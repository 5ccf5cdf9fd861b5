/* auth/directory.h: where users are known: one interface to a users file, PAM, LDAP, SQL, OAuth 2.
 *
 * `struct directories` is what the configuration says (auth.directories), in order, with the
 * application passwords; it is what an attempt to log in asks. `struct directory` is one of them.
 * Calls BLOCK (each within the directory's timeout) and are made in worker threads, several at a
 * time: an implementation keeps its own pool of connections and locks. Objects are
 * reference-counted (any thread): a reload makes new ones, and a check under way keeps the old one.
 * Failure: ERR_NOT_FOUND (no such user: the next directory is asked), ERR_DENIED (the user
 * is known, the secret is wrong or the user is disabled), ERR_BUSY (cannot be decided now: nobody
 * else is asked, the client gets UNAVAILABLE), with a sentence for the log in err that never has a
 * secret in it. No other codes. Names are already prepared (RFC 8265). Nothing here delays or
 * counts: see throttle.h. */
#ifndef AUTH_DIRECTORY_H
#define AUTH_DIRECTORY_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

struct directory;
struct directories;

enum { DIRECTORY_SECRET_MAX = 4096, DIRECTORY_NAME_MAX = 255 };

/* What a directory says about a user. entry_done frees it and wipes the secrets. */
struct directory_entry {
    struct buf name; /* the account's name; may differ in form from what was asked for */
    struct buf
        secret; /* as in the users file (password.h); empty: the directory checks by itself */
    /* Stored keys for SCRAM-SHA-1 and -256, "iterations,salt,StoredKey,ServerKey" (the last three
     * in base64; password_scram_parse); empty: none. */
    struct buf scram[2];
    bool disabled;         /* known, may receive mail, may not log in */
    const char *directory; /* which one it was ("file"), static */
    char *app_password;    /* the name of the application password that fitted, or NULL */
};

enum directory_scram { DIRECTORY_SCRAM_SHA1, DIRECTORY_SCRAM_SHA256 };

/* Why one wants to know: some directories find it costly to say whether a user may log in. */
enum directory_purpose { DIRECTORY_RECEIVE, DIRECTORY_LOGIN };

void directory_entry_init(struct directory_entry *e);
void directory_entry_done(struct directory_entry *e);

/* All of them, in order. */

/* Reads what must be there: with a bad users file or an impossible setting NULL and err. Servers
 * need not be up. Keeps nothing of c. */
struct directories *directories_new(const struct conf *c, struct err *err) must_check;
struct directories *directories_ref(struct directories *d);
void directories_unref(struct directories *d);
size_t directories_count(const struct directories *d);
struct directory *directories_at(struct directories *d, size_t i);
/* Whether a password (SCRAM stored keys, a bearer token) can be checked by any of them at all, for
 * the choice of mechanisms. */
bool directories_have_passwords(const struct directories *d);
bool directories_have_scram(const struct directories *d);
/* Is SCRAM good for everybody: each password has keys, and there are no application passwords?
 * Clients take the strongest mechanism that is offered, and do not try another one. Looks at
 * files. */
bool directories_all_scram(struct directories *d);
bool directories_have_tokens(const struct directories *d);

/* Is there such a user, and what is known? The first directory that knows the name answers. A
 * disabled user is found, with entry.disabled. */
int directories_find(struct directories *d, struct span name, enum directory_purpose why,
                     struct directory_entry *ret, struct err *err) must_check;
/* Is this the user's password, or an application password of the user's that is good for the
 * service ("imap", "smtp")? Disabled users: ERR_DENIED. */
int directories_check(struct directories *d, struct span name, struct span password,
                      struct span service, struct directory_entry *ret, struct err *err) must_check;
/* Is this bearer token good, and whose is it? The other directories need not know the user, but
 * may say that he is disabled. */
int directories_token(struct directories *d, struct span token, struct directory_entry *ret,
                      struct err *err) must_check;

/* One of them. */

int directory_find(struct directory *d, struct span name, enum directory_purpose why,
                   struct directory_entry *ret, struct err *err) must_check;
/* Fills at least ret->name. Takes as long for an unknown name as for a wrong password where the
 * directory allows that. */
int directory_check(struct directory *d, struct span name, struct span password,
                    struct directory_entry *ret, struct err *err) must_check;
/* ERR_NOT_FOUND: not a directory for tokens, or a token of another issuer. */
int directory_token(struct directory *d, struct span token, struct directory_entry *ret,
                    struct err *err) must_check;

const char *directory_name(const struct directory *d); /* "file", "ldap", ... for logs */
struct directory *directory_ref(struct directory *d);
void directory_unref(struct directory *d);

#endif
