/* auth/users_edit.h: changing the users file, for martletctl.
 *
 * A change takes a lock beside the file (FILE.lock), reads the file, writes a new one with the same
 * owner and mode (0600 if there was none), syncs it and renames it over the old one: readers see
 * the old or the new one whole, and martlet-auth takes it at the next login. Comments, order and
 * further fields of other lines are kept. Failure: the file is as it was. Threads: any. */
#ifndef AUTH_USERS_EDIT_H
#define AUTH_USERS_EDIT_H

#include "auth/users.h"

struct users_listed {
    struct span name;
    bool disabled;
    bool password; /* some password can fit */
    bool scram;    /* SCRAM can be used */
};

/* ERR_EXISTS, ERR_INVALID (name or secrets), ERR_IO ... secrets: from password_make, or empty: no
 * password ("*"). A missing file is made. */
int users_edit_add(const char *file, struct span name, struct span secrets,
                   struct err *err) must_check;
/* ERR_NOT_FOUND, ... A disabled user stays disabled. */
int users_edit_secrets(const char *file, struct span name, struct span secrets,
                       struct err *err) must_check;
int users_edit_disable(const char *file, struct span name, bool disabled,
                       struct err *err) must_check;
int users_edit_remove(const char *file, struct span name, struct err *err) must_check;
/* In the order of the file; a missing file has no users. Non-zero of each ends it. */
int users_edit_each(const char *file, int (*each)(void *arg, const struct users_listed *u),
                    void *arg, struct err *err) must_check;

#endif
