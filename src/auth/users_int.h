/* auth/users_int.h: the text of the users file, for those who read and edit it. */
#ifndef AUTH_USERS_INT_H
#define AUTH_USERS_INT_H

#include "auth/users.h"

/* False for comments, empty lines, and what has no colon. */
bool users_line_split(struct span line, struct span *ret_name, struct span *ret_secrets);
/* The whole of a file. ERR_NOT_FOUND: it is not there. */
int users_read_file(const char *file, struct buf *to, struct err *err) must_check;

#endif
