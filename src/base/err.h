/* base/err.h: why something failed.
 *
 * Functions return 0 or a negative ERR_ code. Where a caller will want more for its log, a
 * caller-owned struct err carries a sentence; it is for administrators, never for clients. Library
 * code returns errors, programs log them, so nothing is reported twice. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/span.h"

enum {
    ERR_OK = 0,
    ERR_IO = -1,        /* the operating system refused; text names call and errno */
    ERR_CORRUPT = -2,   /* stored data does not match its checksum or format */
    ERR_NOT_FOUND = -3, /* no such thing */
    ERR_EXISTS = -4,    /* it is there already */
    ERR_LIMIT = -5,     /* a configured or built-in bound */
    ERR_NO_SPACE = -6,  /* disk full or reserve reached */
    ERR_INVALID = -7,   /* malformed input or impossible request */
    ERR_BUSY = -8,      /* owned or locked by someone else; try later */
    ERR_CLOSED = -9,    /* the object was closed (after a failed sync, or shutting down) */
    ERR_UNKNOWN = -10,  /* whether it took effect is unknown (failed sync) */
    ERR_DENIED = -11,   /* not allowed */
    ERR_VERSION = -12,  /* written by a newer Martlet */
    ERR_AGAIN = -13,    /* not ready yet; a callback or event will follow */
    ERR_QUOTA = -14,    /* the account may not grow */
};

struct err {
    int code;
    char text[240];
};

void err_text(struct err *err, int code, const char *fmt, ...) printf_like(3, 4);
int err_text_errno(struct err *err, const char *fmt, ...) printf_like(2, 3);

/* Record code and text (err may be NULL) and return code. Macros, so that compilers and checkers
 * see what is returned. */
#define err_set(err, code, ...)                                                                    \
    ({                                                                                             \
        int err_code_ = (code);                                                                    \
        err_text(err, err_code_, __VA_ARGS__);                                                     \
        err_code_;                                                                                 \
    })
/* As err_set, with ": " and the text of errno appended; ENOSPC and EDQUOT make it ERR_NO_SPACE. */
#define err_set_errno(err, ...)                                                                    \
    ({                                                                                             \
        int err_code_ = err_text_errno(err, __VA_ARGS__);                                          \
        if (err_code_ >= 0)                                                                        \
            __builtin_unreachable();                                                               \
        err_code_;                                                                                 \
    })
const char *err_name(int code); /* "io", "corrupt", ... */

#endif
