/* base/logline.h: one line an event, logfmt, to standard error.
 *
 *     log_event(LOG_INFO, "login", "user", user, "from", addr, NULL);
 *
 * Values are quoted where needed; never pass a password or message content. A line is one write(2),
 * so that several processes may share the descriptor. Any thread. */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_set_program(const char *name); /* "mail.1"; shown as prog= */
void log_set_level(enum log_level level);

/* event, then NUL-terminated key/value string pairs, then NULL. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* An event with a free text in msg=. */
void log_text(enum log_level level, const char *event, const char *fmt, ...) printf_like(3, 4);

#endif
