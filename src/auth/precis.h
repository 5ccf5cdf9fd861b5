/* auth/precis.h: user names and passwords as they are compared (PRECIS, RFC 8264 and RFC 8265).
 *
 * Names: the profiles UsernameCaseMapped and UsernameCasePreserved. A name is one or several parts
 * with single spaces between them, each prepared by itself (RFC 8265 section 3.1); the rule for
 * scripts that are written from right to left is applied before and after an "@" separately, since
 * domains have letters of their own. Passwords: the profile OpaqueString.
 * Pure functions, any thread. Failure: ERR_INVALID (nothing such can be; ret as it was). */
#ifndef AUTH_PRECIS_H
#define AUTH_PRECIS_H

#include "base/buf.h"
#include "base/err.h"

enum { PRECIS_MAX = 2048 }; /* bytes; longer ones are invalid */

/* Appends. keep_case: "Fred" and "fred" are two. */
int precis_username(struct span name, bool keep_case, struct buf *ret) must_check;
/* A name as a directory has it; one that cannot be prepared stays as it is. */
void precis_adopt(struct buf *name, bool keep_case);
int precis_password(struct span password, struct buf *ret) must_check;

#endif
