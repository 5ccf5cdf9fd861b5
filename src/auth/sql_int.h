/* auth/sql_int.h: what directory_sql.c needs of a database.
 *
 * One prepared statement with one parameter, the user's name. */
#ifndef AUTH_SQL_INT_H
#define AUTH_SQL_INT_H

#include "auth/directory.h"

struct sql_conf {
    char *database, *query; /* with the driver's placeholder */
    uint64_t timeout_s;
};

struct sql_driver {
    char mark; /* of the placeholder: $1, ?1 */
    void *(*open)(const struct sql_conf *c, struct err *err);
    void (*close)(void *connection);
    /* Fills ret from the row. ERR_NOT_FOUND: there is none. ERR_CLOSED: the connection is of no
     * use any more; another may be. ERR_IO: of no use, nor would another. ERR_BUSY: it failed. */
    int (*query)(void *connection, struct span user, struct directory_entry *ret, struct err *err);
};

extern const struct sql_driver sql_sqlite, sql_postgresql;

/* One column of the row; value.p NULL: it is NULL. Other columns are ignored. ERR_INVALID: not
 * possible. */
int sql_take_column(struct span column, struct span value, struct directory_entry *ret,
                    struct err *err) must_check;
/* Replaces :user and %u outside of quotes by mark and 1. ERR_INVALID: there is none. */
int sql_placeholders(struct span query, char mark, struct buf *out) must_check;

#endif
