/* base/logline.h: one line an event.
 *
 *     log_event(LOG_INFO, "login", LOG_SESSION(s->id), "user", user, "peer", peer, NULL);
 *
 * As logfmt or JSON, to standard error, syslog or journald; docs/logging.md lists the events. Event
 * and keys are constants of the program; values may be anything: they are quoted and escaped, so
 * that no client can forge a line or a field, and cut after LOG_VALUE_MAX bytes. Never pass a
 * password or message content. A line is one write(2), so that several processes may share the
 * descriptor. Any thread. Failure: what syslog or journald does not take goes to standard error. */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };
enum log_to { LOG_STDERR, LOG_SYSLOG, LOG_JOURNALD };

enum { LOG_VALUE_MAX = 1000 };

void log_set_program(const char *name); /* "mail.1"; shown as prog=; the pointer is kept */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level); /* for values that are costly to make */
/* LOG_SYSLOG and LOG_JOURNALD need a socket as well. */
void log_set_output(enum log_format format, enum log_to to);
/* A connected datagram socket, which is taken; replaces an earlier one. */
void log_set_socket(int fd);
/* Connects to path, or, empty, to where the destination listens. Less than 0: failure. */
int log_socket_open(enum log_to to, const char *path, struct err *err) must_check;

/* event, then NUL-terminated key/value string pairs, then NULL. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* An event with a free text in msg=. */
void log_text(enum log_level level, const char *event, const char *fmt, ...) printf_like(3, 4);

/* The key and value of a connection's id: the same 16 digits in all processes. */
enum { LOG_SESSION_TEXT = 17 };
const char *log_session(char to[LOG_SESSION_TEXT], uint64_t id);
#define LOG_SESSION(id) "session", log_session((char[LOG_SESSION_TEXT]){0}, (id))
/* A number as a value. */
enum { LOG_NUMBER_TEXT = 24 };
const char *log_number(char to[LOG_NUMBER_TEXT], uint64_t n);
#define LOG_NUMBER(n) log_number((char[LOG_NUMBER_TEXT]){0}, (n))

#endif
