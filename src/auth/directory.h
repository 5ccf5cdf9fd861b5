/* auth/directory.h: where users are known: one interface to a users file, PAM, LDAP, SQL, OAuth 2.
 *
 * Directories are asked in the configured order. Calls BLOCK (each within the directory's timeout)
 * and are made in worker threads, several at a time: an implementation keeps its own pool of
 * connections and locks. Objects are reference-counted: a reload makes new ones, and a check
 * under way keeps the old one.
 * Failure: ERR_NOT_FOUND (no such user: the next directory is asked), ERR_DENIED (the user
 * is known, the secret is wrong), ERR_BUSY (cannot be decided now: nobody else is asked, the
 * client gets UNAVAILABLE), with a sentence for the log in err that never has a secret in it.
 * Names are already prepared (RFC 8265). Nothing here delays or counts: see throttle.h. */
#ifndef AUTH_DIRECTORY_H
#define AUTH_DIRECTORY_H

#include "base/buf.h"
#include "base/err.h"

struct directory;

/* What a directory says about a user. entry_done frees it and wipes the secrets. */
struct directory_entry {
    struct buf name;   /* the account's name; may differ in form from what was asked for */
    struct buf secret; /* "{SCHEME}value" or crypt(3) form; empty: the directory checks by itself */
    struct buf scram[2]; /* stored keys for SCRAM-SHA-1 and -256 (password.h), empty: none */
    bool disabled;       /* known, may receive mail, may not log in */
};

enum directory_scram { DIRECTORY_SCRAM_SHA1, DIRECTORY_SCRAM_SHA256 };

void directory_entry_init(struct directory_entry *e);
void directory_entry_done(struct directory_entry *e);

/* Is there such a user, and what is known? The secrets may be empty. Any thread. */
int directory_find(struct directory *d, struct span name, struct directory_entry *ret,
                   struct err *err) must_check;
/* Is this the user's password? Fills at least ret->name. Takes as long for an unknown name as for
 * a wrong password where the directory allows that. Any thread. */
int directory_check(struct directory *d, struct span name, struct span password,
                    struct directory_entry *ret, struct err *err) must_check;
/* Is this bearer token good, and whose is it? ERR_NOT_FOUND: not a directory for tokens, or a
 * token of another issuer. Any thread. */
int directory_token(struct directory *d, struct span token, struct directory_entry *ret,
                    struct err *err) must_check;

const char *directory_name(const struct directory *d); /* "file", "ldap", ... for logs */
struct directory *directory_ref(struct directory *d);
void directory_unref(struct directory *d);

#endif
