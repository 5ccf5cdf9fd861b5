/* imap/trace.h: what the sessions of a user say and are told, written to files while an
 * administrator wants to see it.
 *
 * A file a session, DIR/USER-TIME-SESSION.log, readable by its owner only; one line a command or
 * response, with the time. The bytes of literals are left out, so that no message content gets in;
 * so are LOGIN and AUTHENTICATE, which have no business in a session but are sent by careless
 * clients, and what is not a command. What a response has in quotes (ENVELOPE: subjects, addresses)
 * is there.
 *
 * Bounds: TRACE_FILE_MAX bytes a file, TRACE_FILES_MAX files a rule; a rule ends by itself. A
 * session that is not traced pays for a comparison with NULL. One loop thread; writes go to the
 * page cache. Failure: a file that cannot be written ends the trace of that session, with a line in
 * the log. */
#ifndef IMAP_TRACE_H
#define IMAP_TRACE_H

#include "imap/session.h"

enum {
    TRACE_FILE_MAX = 16 * 1024 * 1024,
    TRACE_FILES_MAX = 100,
    TRACE_LINE_MAX = 8 * 1024,
    TRACE_MINUTES_MAX = 24 * 60,
    TRACE_RULES_MAX = 1000,
};

struct trace_rule;
struct trace;

/* Traces a user's sessions, those that are there and those that come, for so long; 0: no longer.
 * dir is made if needed. ERR_LIMIT: too many users; ERR_IO. ERR_NOT_FOUND: 0 for one who is not
 * traced. */
int imap_trace_set(struct imap_host *host, struct span user, const char *dir, unsigned minutes,
                   struct err *err) must_check;

struct trace_info {
    struct span user, dir;
    uint64_t seconds_left, bytes;
    unsigned files;
};
void imap_trace_each(struct imap_host *host, void (*each)(void *arg, const struct trace_info *info),
                     void *arg);

/* For the files of src/imap. */

struct session;

void trace_session_start(struct session *s);
void trace_session_end(struct session *s);
/* A command's text as the framer has it. */
void trace_command(struct session *s, struct span text);
/* A word of ours about the input: "literal of 5 bytes". */
void trace_note(struct session *s, const char *fmt, ...) printf_like(2, 3);
/* A whole response or a part of one; bytes that went out by other ways. */
void trace_output(struct session *s, struct span bytes);
void trace_output_skipped(struct session *s, uint64_t bytes);
void trace_output_produced(struct session *s);

#endif
