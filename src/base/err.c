#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

void err_text(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
}

int err_text_errno(struct err *err, const char *fmt, ...)
{
    int saved = errno;
    int code = saved == ENOSPC || saved == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
        size_t n = strlen(err->text);
        char tmp[96];
        snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror_r(saved, tmp, sizeof(tmp)));
    }
    errno = saved;
    return code;
}

const char *err_name(int code)
{
    static const char *const names[] = {
        "ok",   "io",     "corrupt", "not-found", "exists",  "limit", "no-space", "invalid",
        "busy", "closed", "unknown", "denied",    "version", "again", "quota",
    };
    int i = -code;
    return i >= 0 && (size_t)i < ARRAY_LEN(names) ? names[i] : "error";
}
