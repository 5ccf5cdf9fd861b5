/* conf/syntax.h: the syntax of martlet.conf, a subset of UCL.
 *
 *     # comment, also slash-star comments
 *     log { level = info; }
 *     imap {
 *         listen = ["127.0.0.1:143", "[::1]:143"]
 *         idle_timeout = 30min
 *     }
 *     imap.literal = plus        # the same as inside a section
 *
 * A statement is `name = value` (or `name: value`, or `name value`) and ends with a newline, ";" or
 * ",". Values are words, "quoted strings" with JSON's escapes, lists in brackets, and, where a
 * setting takes names with values, sections. Pure functions, any thread. Failure: ERR_INVALID with
 * a sentence that names the line. Limits: sections nest 4 deep; 1 MiB of text. */
#ifndef CONF_SYNTAX_H
#define CONF_SYNTAX_H

#include "base/buf.h"
#include "base/err.h"

/* One value of a setting. Called once for each element of a list; `first` on the first of a
 * statement. An empty list is one call with value.p NULL. path is "section.name", NUL-terminated.
 * Non-zero ends the parse and is returned. */
typedef int conf_value_cb(void *arg, const char *path, struct span value, bool first, unsigned line,
                          struct err *err);

int conf_syntax_parse(struct span text, const char *file, conf_value_cb *cb, void *arg,
                      struct err *err) must_check;

#endif
