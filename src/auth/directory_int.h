/* auth/directory_int.h: what a kind of directory implements. */
#ifndef AUTH_DIRECTORY_INT_H
#define AUTH_DIRECTORY_INT_H

#include <stdatomic.h>

#include "auth/directory.h"

struct directory_ops {
    const char *name;
    bool passwords, scram, tokens;
    bool (*all_scram)(struct directory *d); /* NULL: not known */
    int (*find)(struct directory *d, struct span name, enum directory_purpose why,
                struct directory_entry *ret, struct err *err);
    int (*check)(struct directory *d, struct span name, struct span password,
                 struct directory_entry *ret, struct err *err);
    int (*token)(struct directory *d, struct span token, struct directory_entry *ret,
                 struct err *err); /* NULL unless tokens; find and check NULL unless passwords */
    void (*free)(struct directory *d);
};

/* First member of every kind's own struct; made with one reference. */
struct directory {
    const struct directory_ops *ops;
    atomic_uint refs;
};

void directory_init(struct directory *d, const struct directory_ops *ops);

struct directory *directory_file_new(const struct conf *c, struct err *err) must_check;
struct directory *directory_pam_new(const struct conf *c, struct err *err) must_check;
struct directory *directory_ldap_new(const struct conf *c, struct err *err) must_check;
struct directory *directory_sql_new(const struct conf *c, struct err *err) must_check;
struct directory *directory_oauth2_new(const struct conf *c, struct err *err) must_check;

#endif
